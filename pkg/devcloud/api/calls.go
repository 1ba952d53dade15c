package api

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Call is one kind of request: all that differ in nothing listed here are counted together.
type Call struct {
	Service   string `json:"service"`
	Method    string `json:"method"`
	Route     string `json:"route"` // the path's pattern below the service's root
	UserAgent string `json:"userAgent"`
	Status    int    `json:"status"` // 0: the connection was dropped by an injected fault
}

// Count is how often a Call was made.
type Count struct {
	Call
	Count int `json:"count"`
}

// maxMarks bounds the memory of a cloud that runs for weeks under tests.
const maxMarks = 1000

// CallLog counts the requests that were made. It lives in memory: a restart begins anew.
type CallLog struct {
	mu     sync.Mutex
	counts map[Call]int
	marks  []map[Call]int // marks[0] is mark number first
	first  int
}

// NewCallLog makes an empty log.
func NewCallLog() *CallLog { return &CallLog{counts: map[Call]int{}, first: 1} }

func (l *CallLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[c]++
}

// Mark remembers this moment and returns its number, which is at least 1.
func (l *CallLog) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := make(map[Call]int, len(l.counts))
	for c, n := range l.counts {
		now[c] = n
	}
	l.marks = append(l.marks, now)
	if len(l.marks) > maxMarks {
		l.marks = l.marks[1:]
		l.first++
	}
	return l.first + len(l.marks) - 1
}

// Since counts the calls made after a mark; 0 is the beginning.
func (l *CallLog) Since(mark int) ([]Count, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var before map[Call]int
	if mark != 0 {
		i := mark - l.first
		if i < 0 || i >= len(l.marks) {
			return nil, fmt.Errorf("mark %d is unknown: the cloud was restarted since, or it is too old", mark)
		}
		before = l.marks[i]
	}
	counts := []Count{}
	for c, n := range l.counts {
		if n -= before[c]; n > 0 {
			counts = append(counts, Count{Call: c, Count: n})
		}
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method),
			cmp.Compare(a.UserAgent, b.UserAgent), cmp.Compare(a.Status, b.Status))
	})
	return counts, nil
}
