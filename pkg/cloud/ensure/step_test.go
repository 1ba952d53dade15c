package ensure

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// disk is a disk in a state, attached to instances.
func disk(state cloud.DiskState, attached ...string) cloud.Disk {
	d := cloud.Disk{ID: "d1", SizeGiB: 1, State: state, RawState: string(state), Metadata: map[string]string{MetadataCluster: "c1"}}
	for _, i := range attached {
		d.Attachments = append(d.Attachments, cloud.Attachment{DiskID: "d1", InstanceID: i})
	}
	return d
}

type decision struct {
	name string
	disk cloud.Disk
	gone bool
	step step
	err  error
	says string // what the error must say
}

func check(t *testing.T, tests []decision, decide func(cloud.Disk, bool) (step, error)) {
	t.Helper()
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decide(tc.disk, !tc.gone)
			if tc.err != nil {
				if !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.says) {
					t.Fatalf("error %v, want %v that says %q", err, tc.err, tc.says)
				}
				return
			}
			if err != nil || got != tc.step {
				t.Errorf("got %s, %v; want %s", got, err, tc.step)
			}
		})
	}
}

func TestAttachStep(t *testing.T) {
	check(t, []decision{
		{name: "a free disk is requested", disk: disk(cloud.DiskAvailable), step: stepRequest},
		{name: "a disk in the making is waited for", disk: disk(cloud.DiskCreating), step: stepWait},
		{name: "a reserved disk is waited for", disk: disk(cloud.DiskAttaching), step: stepWait},
		{name: "a leaving disk is waited for", disk: disk(cloud.DiskDetaching, "i2"), step: stepWait},
		{name: "a growing disk is waited for", disk: disk(cloud.DiskExtending), step: stepWait},
		{name: "a busy disk is waited for", disk: disk(cloud.DiskBusy), step: stepWait},
		{name: "a disk in a state nobody knows is waited for", disk: disk(cloud.DiskUnknown), step: stepWait},
		{name: "an attachment that is not shown yet is waited for", disk: disk(cloud.DiskAttached), step: stepWait},
		{name: "an attached disk is done", disk: disk(cloud.DiskAttached, "i1"), step: stepDone},
		{name: "a disk attached here while a second attachment is made is waited for", disk: disk(cloud.DiskAttaching, "i1"), step: stepWait},
		{name: "a disk attached elsewhere is refused, naming where", disk: disk(cloud.DiskAttached, "i2"), err: cloud.ErrConflict, says: "attached to instance i2"},
		{name: "a failed disk is an error that names its state", disk: disk(cloud.DiskError), err: cloud.ErrFailed, says: `"error"`},
		{name: "a disk on its way out is an error", disk: disk(cloud.DiskDeleting), err: cloud.ErrFailed, says: "deleting"},
		{name: "a missing disk is not found", gone: true, err: cloud.ErrNotFound, says: "d1"},
	}, func(d cloud.Disk, found bool) (step, error) { return attachStep(d, found, "d1", "i1") })
}

func TestDetachStep(t *testing.T) {
	check(t, []decision{
		{name: "an attached disk is requested", disk: disk(cloud.DiskAttached, "i1"), step: stepRequest},
		{name: "a failed disk that is attached is requested", disk: disk(cloud.DiskError, "i1"), step: stepRequest},
		{name: "a free disk is done", disk: disk(cloud.DiskAvailable), step: stepDone},
		{name: "a disk attached elsewhere is done", disk: disk(cloud.DiskAttached, "i2"), step: stepDone},
		{name: "a missing disk is done", gone: true, step: stepDone},
		{name: "a failed disk is done", disk: disk(cloud.DiskError), step: stepDone},
		{name: "a leaving disk is waited for", disk: disk(cloud.DiskDetaching, "i1"), step: stepWait},
		{name: "a leaving disk that shows nothing any more is waited for", disk: disk(cloud.DiskDetaching), step: stepWait},
		{name: "a disk leaving another is done", disk: disk(cloud.DiskDetaching, "i2"), step: stepDone},
		{name: "an attachment under way may be this one and is waited for", disk: disk(cloud.DiskAttaching), step: stepWait},
		{name: "a growing disk is waited for", disk: disk(cloud.DiskExtending, "i1"), step: stepWait},
	}, func(d cloud.Disk, found bool) (step, error) { return detachStep(d, found, "i1"), nil })
}

func TestExtendStep(t *testing.T) {
	large := disk(cloud.DiskAttached, "i1")
	large.SizeGiB = 2
	growing := large
	growing.State = cloud.DiskExtending
	check(t, []decision{
		{name: "a small free disk is requested", disk: disk(cloud.DiskAvailable), step: stepRequest},
		{name: "a small attached disk is requested", disk: disk(cloud.DiskAttached, "i1"), step: stepRequest},
		{name: "a large disk is done", disk: large, step: stepDone},
		{name: "a disk that shows its new size while still growing is waited for", disk: growing, step: stepWait},
		{name: "a disk in the making is waited for", disk: disk(cloud.DiskCreating), step: stepWait},
		{name: "an attaching disk is waited for", disk: disk(cloud.DiskAttaching), step: stepWait},
		{name: "a failed disk is an error that names its state", disk: disk(cloud.DiskError), err: cloud.ErrFailed, says: `"error"`},
		{name: "a missing disk is not found", gone: true, err: cloud.ErrNotFound, says: "d1"},
	}, func(d cloud.Disk, found bool) (step, error) { return extendStep(d, found, "d1", 2) })
}

func TestDeleteStep(t *testing.T) {
	foreign := disk(cloud.DiskAvailable)
	foreign.Metadata = map[string]string{MetadataCluster: "c2"}
	unmarked := disk(cloud.DiskAvailable)
	unmarked.Metadata = nil
	check(t, []decision{
		{name: "a free disk is requested", disk: disk(cloud.DiskAvailable), step: stepRequest},
		{name: "a failed disk is requested", disk: disk(cloud.DiskError), step: stepRequest},
		{name: "a missing disk is done", gone: true, step: stepDone},
		{name: "a disk on its way out is waited for", disk: disk(cloud.DiskDeleting), step: stepWait},
		{name: "a leaving disk is waited for", disk: disk(cloud.DiskDetaching, "i1"), step: stepWait},
		{name: "a disk in the making is waited for", disk: disk(cloud.DiskCreating), step: stepWait},
		{name: "an attached disk is refused, naming where", disk: disk(cloud.DiskAttached, "i2"), err: cloud.ErrConflict, says: "i2"},
		{name: "another cluster's disk is refused, naming the cluster", disk: foreign, err: cloud.ErrConflict, says: `"c2"`},
		{name: "a disk without a cluster is refused", disk: unmarked, err: cloud.ErrConflict, says: MetadataCluster},
	}, func(d cloud.Disk, found bool) (step, error) { return deleteStep(d, found, "c1") })
}

func TestBetter(t *testing.T) {
	first, second := disk(cloud.DiskAvailable), disk(cloud.DiskAvailable)
	second.CreatedAt = first.CreatedAt.Add(time.Second)
	failed, used := disk(cloud.DiskError), disk(cloud.DiskAttached, "i1")
	used.CreatedAt = second.CreatedAt.Add(time.Second)
	for name, tc := range map[string]struct{ a, b cloud.Disk }{
		"the older is better":                            {first, second},
		"one in use is better than an older one":         {used, first},
		"one that works is better than one that failed":  {second, failed},
		"one that is being attached is better than idle": {disk(cloud.DiskAttaching), disk(cloud.DiskAvailable)},
	} {
		t.Run(name, func(t *testing.T) {
			if better(tc.a, tc.b) >= 0 || better(tc.b, tc.a) <= 0 {
				t.Errorf("better: %d and %d", better(tc.a, tc.b), better(tc.b, tc.a))
			}
		})
	}
}
