package balancer

import (
	"hash/fnv"
	"math"
	"net/netip"
)

// maxPersistent is how many client addresses a pool remembers, as many as Octavia's haproxy.
const maxPersistent = 10_000

// candidate is a member that may get the next connection.
type candidate struct {
	id     string
	weight int // positive
	active int // its connections now
}

// picker chooses members. It has no lock, no clock and does no I/O.
type picker struct {
	credit     map[string]int        // smooth weighted round robin
	persistent map[netip.Addr]string // client address to member
	oldest     []netip.Addr          // of persistent, in order of insertion
}

func newPicker() *picker {
	return &picker{credit: map[string]int{}, persistent: map[netip.Addr]string{}}
}

// pick returns the id of the member for a connection from source, or "" if there is no candidate.
func (p *picker) pick(algorithm string, persistence bool, source netip.Addr, candidates []candidate) string {
	if len(candidates) == 0 {
		return ""
	}
	if persistence {
		if id, ok := p.persistent[source]; ok && contains(candidates, id) {
			return id
		}
	}
	var id string
	switch algorithm {
	case SourceIP:
		id = highestScore(source, candidates)
	case LeastConnections:
		id = p.roundRobin(leastLoaded(candidates))
	default:
		id = p.roundRobin(candidates)
	}
	if persistence {
		p.remember(source, id)
	}
	return id
}

// forget drops what is known of a removed member.
func (p *picker) forget(id string) { delete(p.credit, id) }

func (p *picker) remember(source netip.Addr, id string) {
	if _, known := p.persistent[source]; !known {
		if len(p.oldest) >= maxPersistent {
			delete(p.persistent, p.oldest[0])
			p.oldest = p.oldest[1:]
		}
		p.oldest = append(p.oldest, source)
	}
	p.persistent[source] = id
}

// roundRobin is the smooth weighted round robin: members of weight 2 and 1 are chosen as a, b, a and not a, a, b.
func (p *picker) roundRobin(candidates []candidate) string {
	total, best := 0, candidates[0].id
	for _, c := range candidates {
		p.credit[c.id] += c.weight
		total += c.weight
		if p.credit[c.id] > p.credit[best] {
			best = c.id
		}
	}
	p.credit[best] -= total
	return best
}

// leastLoaded keeps those with the fewest connections for their weight.
func leastLoaded(candidates []candidate) []candidate {
	var least []candidate
	for _, c := range candidates {
		if len(least) > 0 {
			mine, theirs := c.active*least[0].weight, least[0].active*c.weight
			if mine > theirs {
				continue
			}
			if mine < theirs {
				least = nil
			}
		}
		least = append(least, c)
	}
	return least
}

// highestScore is weighted rendezvous hashing: a change of one member moves only the clients of that member.
func highestScore(source netip.Addr, candidates []candidate) string {
	best, bestScore := "", math.Inf(-1)
	for _, c := range candidates {
		h := fnv.New64a()
		h.Write([]byte(c.id))
		h.Write(source.AsSlice())
		uniform := (float64(mix(h.Sum64())>>11) + 0.5) / (1 << 53) // in (0, 1)
		if score := -float64(c.weight) / math.Log(uniform); score > bestScore {
			best, bestScore = c.id, score
		}
	}
	return best
}

// mix spreads the last bytes' influence over all bits, which FNV alone does not (finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func contains(candidates []candidate, id string) bool {
	for _, c := range candidates {
		if c.id == id {
			return true
		}
	}
	return false
}
