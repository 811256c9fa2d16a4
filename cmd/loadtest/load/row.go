package load

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Row is one thing that was measured.
type Row struct {
	// Work is which of the works it belongs to, What is measured, and with what sizes.
	Work, What string
	// Measured is idp's figure, Floor what it is held against, "" for nothing.
	Measured, Floor string
	// Ratio is the one to the other, 0 where there is none, or it says nothing.
	Ratio float64
	// Target is what is promised, "" where nothing is, and Met whether it held.
	Target string
	Met    bool
	// Count says that it is a count, which is the same on every machine.
	Count bool
}

// Figure is a number with its unit.
type Figure struct {
	Value float64
	Unit  string
}

func (f Figure) String() string {
	digits := 0
	switch size := math.Abs(f.Value); {
	case f.Value == math.Trunc(f.Value):
	case size < 1:
		digits = 3
	case size < 10:
		digits = 2
	case size < 100:
		digits = 1
	}
	text := fmt.Sprintf("%.*f", digits, f.Value)
	if f.Unit == "" {
		return text
	}
	return text + " " + f.Unit
}

func milliseconds(d time.Duration) Figure { return Figure{float64(d.Microseconds()) / 1000, "ms"} }
func seconds(d time.Duration) Figure      { return Figure{d.Seconds(), "s"} }
func perSecond(n int, took time.Duration) Figure {
	return Figure{float64(n) / took.Seconds(), "/s"}
}

// atLeast is a row that reaches so many times its floor.
func atLeast(what string, measured, floor Figure, times float64) Row {
	ratio := measured.Value / floor.Value
	return Row{What: what, Measured: measured.String(), Floor: floor.String(), Ratio: ratio, Target: fmt.Sprintf("≥ %g×", times), Met: ratio >= times}
}

// atMost is a row that takes at most so many times its floor.
func atMost(what string, measured, floor Figure, times float64) Row {
	ratio := measured.Value / floor.Value
	return Row{What: what, Measured: measured.String(), Floor: floor.String(), Ratio: ratio, Target: fmt.Sprintf("≤ %g×", times), Met: ratio <= times}
}

// beside is a row with a floor and without a target.
func beside(what string, measured, floor Figure) Row {
	return Row{What: what, Measured: measured.String(), Floor: floor.String(), Ratio: measured.Value / floor.Value}
}

// within is a row that is at most so much by itself.
func within(what string, measured Figure, most float64) Row {
	return Row{What: what, Measured: measured.String(), Target: "≤ " + Figure{most, measured.Unit}.String(), Met: measured.Value <= most}
}

// counted is within for a count.
func counted(what string, measured Figure, most float64) Row {
	row := within(what, measured, most)
	row.Count = true
	return row
}

// exactly is a count that has one right value.
func exactly(what string, is, want int) Row {
	return Row{What: what, Measured: fmt.Sprint(is), Target: fmt.Sprintf("= %d", want), Met: is == want, Count: true}
}

// quantile returns the value that a part of the values, such as 0.99, does not exceed.
func quantile(of []time.Duration, part float64) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(part*float64(len(sorted))))-1, 0)]
}

func median(of []time.Duration) time.Duration { return quantile(of, 0.5) }
