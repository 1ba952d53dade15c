package ensure

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// step is what to do next about a disk. An error beside it means that nothing can be done.
type step string

const (
	stepDone    step = "done"
	stepRequest step = "request" // nothing stands in the way of the request
	stepWait    step = "wait"    // the cloud is at work on the disk
)

func attachStep(d cloud.Disk, found bool, diskID, instanceID string) (step, error) {
	if !found {
		return stepDone, missing("attach disk", diskID)
	}
	switch d.State {
	case cloud.DiskAvailable:
		return stepRequest, nil
	case cloud.DiskAttached:
		others := d
		others.Attachments = slices.DeleteFunc(slices.Clone(d.Attachments), func(a cloud.Attachment) bool { return a.InstanceID == instanceID })
		switch {
		case len(others.Attachments) > 0: // even if it is attached here too: a file system on two machines is destroyed
			return stepDone, &cloud.Error{Kind: cloud.ErrConflict, Op: "attach disk", Object: d.ID, Message: fmt.Sprintf(
				"it is attached to instance %s; %s can use it once it has left", instances(others), instanceID)}
		case d.AttachedTo(instanceID):
			return stepDone, nil
		}
		return stepWait, nil // the attachment is not shown yet
	case cloud.DiskError, cloud.DiskDeleting:
		return stepDone, failed("attach disk", d)
	}
	return stepWait, nil
}

func detachStep(d cloud.Disk, found bool, instanceID string) step {
	shown := false
	for _, a := range d.Attachments {
		shown = shown || a.InstanceID == instanceID
	}
	switch {
	case !found:
		return stepDone
	case d.State == cloud.DiskAttached && shown, d.State == cloud.DiskError && shown:
		return stepRequest
	case d.State == cloud.DiskAttaching, shown:
		return stepWait // an attachment under way is not shown yet; it may be this one
	case d.State == cloud.DiskDetaching && len(d.Attachments) == 0:
		return stepWait
	}
	return stepDone
}

func extendStep(d cloud.Disk, found bool, diskID string, sizeGiB int64) (step, error) {
	if !found {
		return stepDone, missing("extend disk", diskID)
	}
	switch {
	case d.State == cloud.DiskError, d.State == cloud.DiskDeleting:
		return stepDone, failed("extend disk", d)
	case d.State == cloud.DiskExtending, d.State == cloud.DiskCreating:
		return stepWait, nil
	case d.SizeGiB >= sizeGiB:
		return stepDone, nil
	case d.State == cloud.DiskAvailable, d.State == cloud.DiskAttached:
		return stepRequest, nil
	}
	return stepWait, nil
}

func deleteStep(d cloud.Disk, found bool, cluster string) (step, error) {
	if !found {
		return stepDone, nil
	}
	if owner := d.Metadata[MetadataCluster]; owner != cluster {
		return stepDone, &cloud.Error{Kind: cloud.ErrConflict, Op: "delete disk", Object: d.ID, Message: fmt.Sprintf(
			"it is not this cluster's: its metadata %s is %q, not %q; delete it by hand, or let its PersistentVolume "+
				"have the reclaim policy Retain", MetadataCluster, owner, cluster)}
	}
	switch d.State {
	case cloud.DiskAvailable, cloud.DiskError:
		return stepRequest, nil
	case cloud.DiskAttached:
		return stepDone, &cloud.Error{Kind: cloud.ErrConflict, Op: "delete disk", Object: d.ID,
			Message: fmt.Sprintf("it is attached to instance %s", instances(d))}
	}
	return stepWait, nil
}

// creationFailed reports whether the cloud gave up making the disk. Providers have other words for a disk that failed
// later, in an extension say: such a disk has data, and is none of this.
func creationFailed(d cloud.Disk) bool {
	return d.State == cloud.DiskError && d.RawState == string(cloud.DiskError) && len(d.Attachments) == 0
}

// better reports whether of two disks with the same identity a is the one to keep: the one in use, the one that works,
// the first.
func better(a, b cloud.Disk) int {
	rank := func(d cloud.Disk) int {
		switch {
		case len(d.Attachments) > 0 || d.State == cloud.DiskAttaching || d.State == cloud.DiskDetaching:
			return 0
		case d.State != cloud.DiskError && d.State != cloud.DiskDeleting:
			return 1
		}
		return 2
	}
	if r := rank(a) - rank(b); r != 0 {
		return r
	}
	if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func missing(op, diskID string) error {
	return &cloud.Error{Kind: cloud.ErrNotFound, Op: op, Object: diskID, Message: "the disk does not exist"}
}

func failed(op string, d cloud.Disk) error {
	message := fmt.Sprintf("the disk is %q", d.RawState)
	switch {
	case d.State == cloud.DiskDeleting:
	case d.Repair == "":
		message += "; it cannot be used until the cloud's operator has repaired it"
	default:
		message += "; it cannot be used until the cloud's operator has made sure that it is whole and run: " + d.Repair
	}
	return &cloud.Error{Kind: cloud.ErrFailed, Op: op, Object: d.ID, Message: message}
}

// instances names those that the disk is attached to.
func instances(d cloud.Disk) string {
	ids := make([]string, 0, len(d.Attachments))
	for _, a := range d.Attachments {
		ids = append(ids, a.InstanceID)
	}
	return strings.Join(ids, ", ")
}
