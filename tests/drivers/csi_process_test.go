package drivers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"github.com/gophercloud/gophercloud/v2"
	gopher "github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"google.golang.org/grpc/codes"

	"github.com/fairlead-io/fairlead/tests/witness"
)

// processCases are about the process rather than one RPC.
var processCases = map[string]func(*testing.T, *controller){
	"volumes at once share their calls":                      manyAtOnce,
	"killed between attach and answer, it attaches once":     killedWhileAttaching,
	"killed between create and answer, it makes one volume":  killedWhileCreating,
	"a slow attach outlives its caller, who finds it done":   callerGone,
	"tokens that end in the middle of things are renewed":    tokensEnd,
	"credentials exchanged in the file need no restart":      credentialsExchanged,
	"the cloud's operator finds a failure by its request id": failuresAreTraceable,
}

// many volumes at once.
const many = 20

func manyAtOnce(t *testing.T, c *controller) {
	created := make([]*csi.Volume, many)
	for _, step := range []struct {
		name   string
		budget int // requests for all of them, polls included
		run    func(ctx context.Context, i int) error
	}{
		{"create", many * 3 / 2, func(ctx context.Context, i int) error {
			resp, err := c.CreateVolume(ctx, c.request(fmt.Sprint("many-", i)))
			created[i] = resp.GetVolume()
			return err
		}},
		{"publish", many * 3 / 2, func(ctx context.Context, i int) error { return c.publish(ctx, created[i], c.servers[i%2]) }},
		{"expand", many * 5 / 2, func(ctx context.Context, i int) error { // each is looked at first
			_, err := c.expand(ctx, created[i].GetVolumeId(), 2)
			return err
		}},
		{"unpublish", many * 3 / 2, func(ctx context.Context, i int) error {
			return c.unpublish(ctx, created[i].GetVolumeId(), c.servers[i%2])
		}},
		{"delete", many * 7 / 2, func(ctx context.Context, i int) error { return c.remove(ctx, created[i].GetVolumeId()) }}, // each is looked at first, and its absence confirmed
	} {
		requests := c.count(t)
		start := time.Now()
		if err := atOnce(t.Context(), many, step.run); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		took := time.Since(start)
		all := requests()
		t.Logf("%s: %d requests for %d volumes in %s", step.name, len(all), many, took.Round(time.Millisecond))
		// Polls are shared: two a second for all of them, besides what the budget has for the first moments.
		if budget := step.budget + 2*int(took/time.Second); len(all) > budget {
			t.Errorf("%s: %d requests, budget %d:\n  %s", step.name, len(all), budget, tally(all))
		}
	}
	for _, v := range created {
		if id := v.GetVolumeId(); id != "" && c.status(t, id) != "gone" {
			c.drop(t, id)
		}
	}
}

// atOnce runs n calls side by side and joins their errors.
func atOnce(ctx context.Context, n int, call func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(ctx, i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// tally counts equal requests, ids left out.
func tally(requests []string) string {
	counts := map[string]int{}
	for _, r := range requests {
		words := strings.FieldsFunc(r, func(c rune) bool { return c == '/' || c == ' ' })
		words = slices.DeleteFunc(words, func(w string) bool { return len(w) >= 32 && strings.Trim(w, "0123456789abcdef-") == "" })
		counts[strings.Join(words, " ")]++
	}
	var lines []string
	for r, n := range counts {
		lines = append(lines, fmt.Sprintf("%d x %s", n, r))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n  ")
}

// another starts one more controller that the test may kill.
func (c *controller) another(t *testing.T) *controller {
	t.Helper()
	one := &controller{project: c.project}
	one.start(t)
	return one
}

func killedWhileAttaching(t *testing.T, first *controller) {
	c := first.another(t)
	v := first.create(t, c.request("interrupted")) // and removed by the first, which lives on
	id, server := v.GetVolumeId(), c.servers[0]
	release := c.slow(t, "volume.attach")
	answered := make(chan error, 1)
	go func() { answered <- c.publish(t.Context(), v, server) }()
	eventually(t, settleTime, "the cloud is attaching", func() bool { return slices.Contains([]string{"reserved", "attaching"}, c.status(t, id)) })
	c.process.kill()
	if err := <-answered; err == nil {
		t.Fatal("the attach was answered before the controller was killed: make it slower")
	}
	release()
	c.start(t)
	if err := c.publish(t.Context(), v, server); err != nil {
		t.Fatal("publish again:", err)
	}
	c.on(t, id, server)
	requests := c.count(t)
	if err := c.publish(t.Context(), v, server); err != nil {
		t.Fatal("publish once more:", err)
	}
	if all := requests(); len(all) > 2 {
		t.Errorf("publish once more: %v", all)
	}
	if err := c.unpublish(t.Context(), id, server); err != nil {
		t.Fatal(err)
	}
	c.on(t, id)
}

func killedWhileCreating(t *testing.T, first *controller) {
	c := first.another(t)
	release := c.slow(t, "volume.create")
	answered := make(chan error, 1)
	go func() {
		_, err := c.CreateVolume(t.Context(), c.request("born-twice"))
		answered <- err
	}()
	made := func() []string {
		left, err := witness.Project(t.Context(), c.clouds, c.userEntry)
		if err != nil {
			t.Fatal(err)
		}
		return left.Disks
	}
	eventually(t, settleTime, "the cloud makes the volume", func() bool { return len(made()) > 0 })
	c.process.kill()
	if err := <-answered; err == nil {
		t.Fatal("the creation was answered before the controller was killed: make it slower")
	}
	release()
	c.start(t)
	resp, err := c.CreateVolume(t.Context(), c.request("born-twice"))
	if err != nil {
		t.Fatal("create again:", err)
	}
	t.Cleanup(func() { first.drop(t, resp.GetVolume().GetVolumeId()) })
	if all := made(); len(all) != 1 {
		t.Errorf("volumes %v", all)
	}
}

func callerGone(t *testing.T, c *controller) {
	v := c.create(t, c.request("patient"))
	release := c.slow(t, "volume.attach")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	refused(t, "publish in two seconds", c.publish(ctx, v, c.servers[0]), codes.DeadlineExceeded, "the disk is still")
	release()
	if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
		t.Fatal("publish again:", err)
	}
	c.on(t, v.GetVolumeId(), c.servers[0])
}

func tokensEnd(t *testing.T, c *controller) {
	v := c.create(t, c.request("long-lived"))
	for round := range 3 {
		c.revoke(t)
		what := fmt.Sprint("round ", round)
		if err := c.publish(t.Context(), v, c.servers[0]); err != nil {
			t.Error(what, "publish:", err)
		}
		c.revoke(t)
		if err := c.unpublish(t.Context(), v.GetVolumeId(), c.servers[0]); err != nil {
			t.Error(what, "unpublish:", err)
		}
	}
	// The services may go on believing a token for some minutes; Keystone does not.
	eventually(t, settleTime, "the controller is ready again", func() bool { return c.ready() == nil })
}

// credentialsExchanged replaces the application credential: the old one is deleted while the controller uses it.
func credentialsExchanged(t *testing.T, c *controller) {
	if c.rotate == nil {
		t.Skip("this cloud's credentials are those of its configuration")
	}
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	text, err := os.ReadFile(c.clouds)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	retire := c.rotate(t, file)
	second := &controller{project: c.project, config: file}
	second.start(t)
	v := c.create(t, c.request("rotated"))
	if err := second.publish(t.Context(), v, second.servers[0]); err != nil {
		t.Fatal(err)
	}
	replaced := c.rotate(t, file)
	t.Cleanup(func() { replaced(t) })
	retire(t)
	if err := second.unpublish(t.Context(), v.GetVolumeId(), second.servers[0]); err != nil {
		t.Error(err)
	}
	eventually(t, settleTime, "the controller is ready", func() bool { return second.ready() == nil })
}

// failuresAreTraceable looks for the ids that errors carry in the services' logs.
func failuresAreTraceable(t *testing.T, c *controller) {
	if c.logs == "" {
		t.Skip("this cloud keeps no logs by request")
	}
	v := c.create(t, c.request("traced"))
	c.fail(t, "volume.attach")
	_, quota := c.expand(t.Context(), v.GetVolumeId(), quotaGiB+1)
	for what, err := range map[string]error{
		"an unknown server":          c.publish(t.Context(), v, absent),
		"an attach that is given up": c.publish(t.Context(), v, c.servers[0]),
		"over quota":                 quota,
	} {
		id := strings.TrimPrefix(requestID.FindString(fmt.Sprint(err)), "request ")
		if id == "" {
			t.Errorf("%s: no request id in %v", what, err)
			continue
		}
		eventually(t, settleTime, what+": "+id+" is in the logs", func() bool { return inFiles(t, c.logs, id) })
	}
}

func inFiles(t *testing.T, pattern, text string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("logs %s: %v", pattern, err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), text)
	})
}

// newCredential makes an application credential of the project's user in place of the one in the file, and returns what
// deletes it.
func (p *project) newCredential(t *testing.T, file string) (remove func(*testing.T)) {
	t.Helper()
	identity, err := gopher.NewIdentityV3(p.volumes.ProviderClient, gophercloud.EndpointOpts{})
	if err != nil {
		t.Fatal(err)
	}
	made, err := applicationcredentials.Create(t.Context(), identity, p.userID, applicationcredentials.CreateOpts{Name: fmt.Sprint("drivers-", time.Now().UnixNano())}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`clouds:
  %s:
    auth_type: v3applicationcredential
    auth: {auth_url: %q, application_credential_id: %s, application_credential_secret: %q}
    region_name: RegionOne
`, p.entry, p.volumes.IdentityEndpoint, made.ID, made.Secret)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) {
		t.Helper()
		if err := applicationcredentials.Delete(cleanup(t), identity, p.userID, made.ID).ExtractErr(); err != nil {
			t.Error(err)
		}
	}
}
