package observe

import (
	"math/rand/v2"
	"testing"
	"time"
)

// operate runs the schedule over one operation that takes work: how many polls it took, when the end was seen, and the
// band afterwards.
func operate(b band, work time.Duration) (polls int, seen time.Duration, after band) {
	last := time.Duration(0)
	for {
		due := b.next(last)
		polls++
		if due >= work {
			return polls, due, b.learned(last, due)
		}
		last = due
	}
}

func promise(work time.Duration) time.Duration { return work + max(500*time.Millisecond, work/20) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestAnUnknownKindIsPolledWithinTheBudgetAndSeenInTime(t *testing.T) {
	for T := 200 * time.Millisecond; T <= 90*time.Second; T += 7 * time.Millisecond {
		polls, seen, _ := operate(band{}, T)
		if budget := 1 + int(T/(500*time.Millisecond)); polls > budget {
			t.Fatalf("T=%v: %d polls, budget %d", T, polls, budget)
		}
		if seen > promise(T) {
			t.Fatalf("T=%v: seen at %v, promised %v", T, seen, promise(T))
		}
	}
}

func TestAKnownKindTakesThreePollsAndIsSeenInTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		usual := seconds(0.2 + 90*random.Float64())
		// Equal operations differ by a few per cent and by what the network and the scheduler add.
		draw := func() time.Duration {
			return usual + time.Duration((random.Float64()-0.5)*0.02*float64(usual)) + seconds(0.03*random.Float64())
		}
		var b band
		for range samplesToKnow + 2 {
			_, _, b = operate(b, draw())
		}
		if !b.known() {
			t.Fatalf("operations of %v are still unknown: %+v", usual, b)
		}
		for i := range 50 {
			T := draw()
			var polls int
			var seen time.Duration
			before := b
			polls, seen, b = operate(b, T)
			if polls > 3 {
				t.Fatalf("operation %d of %v: %d polls with %+v", i, T, polls, before)
			}
			if seen > promise(T) {
				t.Fatalf("operation %d of %v: seen at %v with %+v", i, T, seen, before)
			}
		}
	}
}

func TestTimesThatScatterAreNotTrusted(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var b band
	late := 0
	const operations = 5000
	for range operations {
		T := seconds(0.2 + 89.8*random.Float64())
		_, seen, after := operate(b, T)
		if b = after; seen > promise(T) {
			late++
		}
	}
	// Four times in a row within 10 % happens by chance, rarely.
	if late > operations/500 {
		t.Errorf("%d of %d operations were seen late", late, operations)
	}
}

func TestWhenAKindChangesItsTime(t *testing.T) {
	for name, tc := range map[string]struct{ before, after time.Duration }{
		"slower":           {4 * time.Second, 20 * time.Second},
		"quicker":          {20 * time.Second, 2 * time.Second},
		"a little quicker": {4 * time.Second, 3700 * time.Millisecond},
		"much quicker":     {60 * time.Second, 300 * time.Millisecond},
	} {
		t.Run("it is learned anew: "+name, func(t *testing.T) {
			var b band
			for range 20 {
				_, _, b = operate(b, tc.before)
			}
			late := 0
			for range 40 {
				_, seen, after := operate(b, tc.after)
				if b = after; seen > promise(tc.after) {
					late++
				}
			}
			if late > 5 {
				t.Errorf("%d operations were seen late", late)
			}
			if polls, _, _ := operate(b, tc.after); polls > 3 || !b.known() {
				t.Errorf("in the end %d polls with %+v", polls, b)
			}
		})
	}
}

func TestTheEndOfAQuickKindIsSoonSeenAtOnce(t *testing.T) {
	const T = 50 * time.Millisecond
	var b band
	for range 20 {
		_, _, b = operate(b, T)
	}
	for range 20 {
		polls, seen, after := operate(b, T)
		if b = after; seen > T+70*time.Millisecond || polls > 3 {
			t.Errorf("seen at %v after %d polls with %+v", seen, polls, b)
		}
	}
}
