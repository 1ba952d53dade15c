package observe

import "time"

const (
	// finestStep is how late an end may be seen at the latest, while that is more than 5 % of the time it took.
	finestStep = 500 * time.Millisecond
	// samplesToKnow operations must have taken about the same time before the early polls are left out: fewer could be
	// chance, and leaving out polls of an operation that may end at any time would see its end late.
	samplesToKnow = 5
	// jitter is the least width of a band: what scheduling and the network add to the time of equal operations.
	jitter = 20 * time.Millisecond
	// earlyToForget operations in a row that had ended before anyone looked are more than chance.
	earlyToForget = 4
)

// step is the longest pause after a poll at elapsed that keeps the promise of Observer: an end is seen at most half a
// second or 5 % of the operation's time after it happened.
func step(elapsed time.Duration) time.Duration {
	return max(finestStep, elapsed/20)
}

// band is what is known about how long one kind of operation takes: between lo and hi, as far as n samples tell.
// It is a value; all times count from the start of the operation.
type band struct {
	n      int
	lo, hi time.Duration
	early  int // samples in a row that had ended at their first poll
}

// known reports whether the band is good enough to leave out the polls before it.
func (b band) known() bool { return b.n >= samplesToKnow }

// widest is the widest band that two polls cover without seeing an end too late.
func (b band) widest() time.Duration { return step(b.lo) + step(b.lo+step(b.lo)) }

// next is when the poll after the one at last is due (0: there was none yet). As long as the kind is unknown, polls
// follow each other by step: at most 1 + T/0.5 s of them for an operation of T. Of a known kind there is one poll in
// the middle of the band, one at its end, one soon after for the outlier, and then it is as if unknown.
func (b band) next(last time.Duration) time.Duration {
	if !b.known() {
		return last + step(last)
	}
	hi := max(b.hi, b.lo+max(jitter, b.lo/20))
	mid := b.lo + min((hi-b.lo)/2, step(b.lo))
	after := hi + min(step(hi), max(hi/2, 2*jitter))
	for _, due := range []time.Duration{mid, hi, after} {
		if last < due {
			return due
		}
	}
	return last + step(last)
}

// learned is the band after one more operation, which had not ended at the poll at notYet (0: there was none) and had
// at the poll at seen. A band widens at once and narrows slowly. Times that scatter too widely to be worth knowing, or
// that are quicker than the band time after time, start the learning over.
func (b band) learned(notYet, seen time.Duration) band {
	first := band{n: 1, lo: notYet, hi: seen}
	if b.n == 0 {
		return first
	}
	b.n++
	switch {
	case seen <= b.lo:
		b.lo = notYet
	case notYet >= b.hi:
		b.hi = seen
	case notYet < b.lo && b.known():
		return b.earlier(seen)
	default:
		b.lo = min(notYet, b.lo+(notYet-b.lo)/4)
		b.hi = max(seen, b.hi-(b.hi-seen)/4)
	}
	b.early = 0
	switch excess := b.hi - b.lo - b.widest(); {
	case excess <= 0:
		return b
	case b.known() && excess <= step(b.hi):
		// A little more than two polls cover: forget the far end.
		if seen == b.hi {
			b.lo += excess
		} else {
			b.hi -= excess
		}
		return b
	}
	return first
}

// earlier is the band after an operation that had ended by its first poll, at seen: consistent with the band, but the
// kind may have become quicker. Look a little earlier each time until a poll comes too early again.
func (b band) earlier(seen time.Duration) band {
	if b.early++; b.early > earlyToForget {
		return band{}
	}
	widest := b.widest()
	b.hi = max(seen, b.hi-(b.hi-seen)/4)
	b.lo = max(0, b.lo-max(jitter, b.lo/100)<<(2*(b.early-1)))
	b.lo = max(b.lo, b.hi-widest)
	return b
}
