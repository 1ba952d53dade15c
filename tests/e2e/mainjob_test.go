package e2e

import "testing"

func TestTheMainJobWithinItsCallBudgets(t *testing.T) {
	ctx := needLab(t)
	for _, step := range cluster.MainJob() {
		outcome, err := cluster.Do(ctx, step)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s (%.1f s)\n  disk calls, %d of %d: %v\n  load balancer calls, %d of %d: %v", outcome.Title, outcome.Result, outcome.Took.Seconds(),
			outcome.Disks.Total(), outcome.Disks.Allowed, outcome.Disks.Counts,
			outcome.LoadBalancers.Total(), outcome.LoadBalancers.Allowed, outcome.LoadBalancers.Counts)
		if over := outcome.Exceeded(); over != "" {
			t.Errorf("%s: %s", outcome.Title, over)
		}
	}
}
