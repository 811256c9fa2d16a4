package previews

// Signal wakes a loop that waits for work. Waking one that is awake already is
// remembered once, so no wake-up is ever lost and none piles up.
type Signal chan struct{}

// NewSignal returns a Signal for one loop.
func NewSignal() Signal { return make(Signal, 1) }

// Wake lets the loop run (again).
func (s Signal) Wake() {
	select {
	case s <- struct{}{}:
	default:
	}
}
