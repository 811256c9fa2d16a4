package store

import (
	"fmt"
	"testing"
)

// A delivery that nothing is to be done about is kept, and nobody works on it.
func TestDeliveryWithNothingToDo(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	stored, err := s.AddDelivery(t.Context(), Delivery{GUID: "guid-1", Event: "ping", State: DeliveryDone, Result: "ignored: a ping"})
	if err != nil || !stored {
		t.Fatal(stored, err)
	}
	d, err := s.Delivery(t.Context(), "guid-1")
	if err != nil || d.State != DeliveryDone || d.Result != "ignored: a ping" {
		t.Errorf("%+v, %v", d, err)
	}
	var jobs int
	if err := s.read.QueryRowContext(t.Context(), `SELECT count(*) FROM river_job`).Scan(&jobs); err != nil || jobs != 0 {
		t.Errorf("%d jobs, %v", jobs, err)
	}
	if stored, err = s.AddDelivery(t.Context(), Delivery{GUID: "guid-1", Event: "ping", State: DeliveryDone}); err != nil || stored {
		t.Errorf("again: %t, %v", stored, err)
	}
}

// Of a repository with many deliveries that wait those that come then yield to what comes of
// others.
func TestBurstYields(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	add := func(repository int64, n int) {
		t.Helper()
		for i := range n {
			if _, err := s.AddDelivery(t.Context(), Delivery{GUID: fmt.Sprintf("guid-%d-%d", repository, i), RepositoryID: repository}); err != nil {
				t.Fatal(err)
			}
		}
	}
	priorities := func() (first, second int) {
		t.Helper()
		err := s.read.QueryRowContext(t.Context(), `SELECT count(*) FILTER (WHERE priority = 1), count(*) FILTER (WHERE priority = 2) FROM river_job`).Scan(&first, &second)
		if err != nil {
			t.Fatal(err)
		}
		return first, second
	}
	add(1, crowd+20)
	if first, second := priorities(); first != crowd-1 || second != 21 {
		t.Errorf("of a burst %d go first and %d yield", first, second)
	}
	add(2, 1)
	if first, second := priorities(); first != crowd || second != 21 {
		t.Errorf("with another repository's %d go first and %d yield", first, second)
	}
}
