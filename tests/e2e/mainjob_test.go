package e2e

import "testing"

func TestTheMainJobWithinItsCallBudgets(t *testing.T) {
	ctx := needLab(t)
	for _, step := range cluster.MainJob() {
		outcome, err := cluster.Do(ctx, step)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %s (%.1f s)\n  disk calls %v\n  load balancer calls %v", outcome.Title, outcome.Result, outcome.Took.Seconds(), outcome.Disks, outcome.LoadBalancers)
		if over := outcome.Exceeded(); over != "" {
			t.Errorf("%s: %s", outcome.Title, over)
		}
	}
}
