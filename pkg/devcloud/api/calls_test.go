package api

import "testing"

func TestOldMarksAreForgottenAndNewOnesCount(t *testing.T) {
	t.Parallel()
	l := NewCallLog()
	call := Call{Service: "volume", Method: "GET", Route: "/"}
	l.add(call)
	first := l.Mark()
	var last int
	for range maxMarks + 5 {
		l.add(call)
		last = l.Mark()
	}
	if _, err := l.Since(first); err == nil {
		t.Error("the first mark is still known")
	}
	l.add(call)
	if got, err := l.Since(last); err != nil || len(got) != 1 || got[0].Count != 1 {
		t.Errorf("since the last mark %+v, %v", got, err)
	}
	if got, err := l.Since(0); err != nil || len(got) != 1 || got[0].Count != maxMarks+7 {
		t.Errorf("since the beginning %+v, %v", got, err)
	}
	if _, err := l.Since(last + 1); err == nil {
		t.Error("a mark of the future is known")
	}
}

func TestAFaultStrikesWithItsProbability(t *testing.T) {
	t.Parallel()
	f := NewFaults(nil)
	if _, err := f.Add(Fault{Status: 500, Probability: 0.3}); err != nil {
		t.Fatal(err)
	}
	struck := 0
	const draws = 10000
	for range draws {
		if f.draw(Call{}) != nil {
			struck++
		}
	}
	if share := float64(struck) / draws; share < 0.25 || share > 0.35 { // ten standard deviations
		t.Errorf("struck %.2f of the requests", share)
	}
}
