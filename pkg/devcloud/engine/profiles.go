package engine

import "time"

// DefaultTime is how long an operation takes when nothing says otherwise.
const DefaultTime = 50 * time.Millisecond

// Profile returns a named set of operation times: "default" takes 50 ms for everything, "realistic" what public clouds
// take, "instant" nothing at all.
func Profile(name string) (Times, bool) {
	switch name {
	case "default":
		return Times{Default: DefaultTime}, true
	case "instant":
		return Times{}, true
	case "realistic":
		return Times{Default: time.Second, ByKind: map[string]time.Duration{
			"volume.create": 2 * time.Second,
			"volume.attach": 4 * time.Second,
			"volume.detach": 4 * time.Second,

			"loadbalancer.create": 30 * time.Second,
			"loadbalancer.update": 4 * time.Second,
			"loadbalancer.delete": 4 * time.Second,
		}}, true
	}
	return Times{}, false
}

// Profiles are the names that Profile knows.
var Profiles = []string{"default", "realistic", "instant"}
