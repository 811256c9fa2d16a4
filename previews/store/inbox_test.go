package store

import "testing"

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
