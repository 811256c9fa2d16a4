package policy

import (
	"fmt"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// The bounds of one evaluation, of all policies about one request or one environment.
const (
	// Timeout is how long it may take.
	Timeout = 5 * time.Second
	// MaxSteps is how many expressions it may evaluate; what policies do takes thousands.
	MaxSteps = 5_000_000
	// MaxHeap is how much the heap of the process may grow meanwhile, in bytes.
	MaxHeap = 512 << 20
	// MaxInput is how long one document may be as JSON, in bytes.
	MaxInput = 1 << 20
	// maxFindings and maxMessage bound what policies say: in number, and each in bytes.
	maxFindings = 100
	maxMessage  = 500
)

var defaultLimits = limits{timeout: Timeout, steps: MaxSteps, heap: MaxHeap}

// meter ends an evaluation that goes beyond its limits: it is asked before each step.
type meter struct {
	limits
	deadline time.Time
	start    uint64
	steps    atomic.Int64
	// over says which limit it was, nil while none is.
	over atomic.Pointer[string]
}

// looks is how many steps lie between two looks at the clock and the heap.
const looks = 256

func newMeter(l limits) *meter {
	return &meter{limits: l, deadline: time.Now().Add(l.timeout), start: heap()}
}

// Cancel ends the evaluation.
func (m *meter) Cancel() { m.stop("it was stopped") }

// Cancelled counts a step and says whether it is one too many.
func (m *meter) Cancelled() bool {
	switch n := m.steps.Add(1); {
	case m.over.Load() != nil:
		return true
	case n > m.limits.steps:
		m.stop(fmt.Sprintf("it takes more than %d steps", m.limits.steps))
	case n%looks != 0:
		return false
	}
	return m.look()
}

// look looks at the clock and the heap, and says whether it is to end.
func (m *meter) look() bool {
	switch {
	case time.Now().After(m.deadline):
		m.stop(fmt.Sprintf("it takes longer than %s", m.timeout))
	case heap() > m.start+m.limits.heap:
		m.stop(fmt.Sprintf("it takes more than %d MiB of memory", m.limits.heap>>20))
	}
	return m.over.Load() != nil
}

func (m *meter) stop(why string) { m.over.CompareAndSwap(nil, &why) }

// err says which limit was exceeded, nil where none was.
func (m *meter) err() error {
	if why := m.over.Load(); why != nil {
		return fmt.Errorf("%s", *why)
	}
	return nil
}

// heap is how many bytes objects take on the heap, those that nobody needs included.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
