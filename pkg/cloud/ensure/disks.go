// Package ensure makes a cloud's raw operations idempotent and awaited: each method may be repeated at any time, after
// a lost answer or a crash, and returns when the cloud has done its work. It holds no state that a restart would lose.
package ensure

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/observe"
)

// The metadata by which we know our disks. It is part of the creating request.
const (
	// MetadataCluster has the identity of the cluster that a disk belongs to.
	MetadataCluster = "fairlead.io/cluster"
	// MetadataVolume has the name under which the cluster asked for the disk.
	MetadataVolume = "fairlead.io/volume"
)

// maxRequests is how often one call sends its request: again when a state that stood in the way has gone meanwhile.
const maxRequests = 3

// busyPause is the pause before a request is sent again that was refused although nothing is under way on the disk: the
// instance is busy with something else, or will be gone in a moment.
const busyPause = time.Second

// findPause is the least pause between two look-ups by identity. What comes earlier after the last one shares one list.
const findPause = 200 * time.Millisecond

// Disks are the disks of one cluster. Safe for concurrent use; calls for one disk should follow each other, but if they
// do not, nothing worse happens than an error.
type Disks struct {
	cloud    cloud.Disks
	cluster  string
	observer *observe.Observer[cloud.Disk]
	shared   *observe.ListCache[cloud.Disk]

	mu       sync.Mutex
	lastFind time.Time // when the last identity look-up was sent
}

// NewDisks returns the disks of the cluster with the given identity.
func NewDisks(c cloud.Disks, cluster string) *Disks {
	list := func(ctx context.Context) ([]cloud.Disk, error) {
		return c.ListDisks(ctx, cloud.DiskFilter{Metadata: map[string]string{MetadataCluster: cluster}})
	}
	return &Disks{
		cloud:   c,
		cluster: cluster,
		observer: observe.New(observe.Options[cloud.Disk]{
			Get: c.GetDisk, List: list, ID: func(d cloud.Disk) string { return d.ID },
		}),
		shared: observe.NewListCache(list, time.Second, clock.RealClock{}),
	}
}

// operation is a change of one disk that the cloud works on after it accepted the request.
type operation struct {
	name  string // for people, and the kind under which its time is learned: "attach disk"
	id    string
	given string // the disk's new partner or size, for messages
	// decide judges the disk as it is (found: whether it is); a pure function.
	decide func(d cloud.Disk, found bool) (step, error)
	// request sends the request once.
	request func(ctx context.Context) error
}

// pursue sends the request and looks, as often as needed, until decide says done. With first it looks before the first
// request: when that would be wrong, not merely refused, in some state.
func (d *Disks) pursue(ctx context.Context, op operation, first bool) (cloud.Disk, error) {
	if first {
		disk, next, _, err := d.look(ctx, op)
		if err != nil || next == stepDone {
			return disk, err
		}
	}
	var refused error
	for sent := 1; ; sent++ {
		receipted, receipt := cloud.WithReceipt(ctx)
		if refused = op.request(receipted); refused == nil {
			disk, err := d.await(ctx, op)
			return disk, accepted(receipt, err)
		}
		if !worthALook(refused) || ctx.Err() != nil {
			return cloud.Disk{}, refused
		}
		disk, next, waited, err := d.look(ctx, op)
		switch {
		case err != nil:
			return disk, fmt.Errorf("%w (after: %w)", err, refused)
		case next == stepDone:
			return disk, nil
		case (errors.Is(refused, cloud.ErrNotFound) || errors.Is(refused, cloud.ErrInvalid)) && !waited:
			// The disk is there and as before: it is the other party that the cloud does not find, or the request itself.
			return disk, refused
		case sent == maxRequests, sent > 1 && !waited && errors.Is(refused, cloud.ErrConflict):
			return disk, refused // and it is not the disk's state that conflicts
		case !waited && !pause(ctx, busyPause):
			return disk, refused
		}
	}
}

// pause waits, and reports whether the context has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// accepted says of work that came to nothing under which request the cloud had accepted it.
func accepted(r *cloud.Receipt, err error) error {
	if err == nil || r.RequestID == "" {
		return err
	}
	return fmt.Errorf("%w (request %s)", err, r.RequestID)
}

// worthALook reports whether a failed request may have succeeded all the same, now or earlier, or may succeed later.
// ErrInvalid is what a cloud says of a request that asks for what it has done meanwhile.
func worthALook(err error) bool {
	return errors.Is(err, cloud.ErrConflict) || errors.Is(err, cloud.ErrBusy) || errors.Is(err, cloud.ErrNotFound) ||
		errors.Is(err, cloud.ErrInvalid) || errors.Is(err, cloud.ErrOutcomeUnknown)
}

// look reads the disk and, while something stands in the way, waits for it to go. The step it returns is done or
// request.
func (d *Disks) look(ctx context.Context, op operation) (disk cloud.Disk, next step, waited bool, err error) {
	disk, err = d.cloud.GetDisk(ctx, op.id)
	found := !errors.Is(err, cloud.ErrNotFound)
	if err != nil && found {
		return disk, stepWait, false, err
	}
	missing := err
	if next, err = op.decide(disk, found); err != nil && !found {
		return disk, next, false, inWords(op, missing)
	}
	if err == nil && next == stepWait {
		waited = true
		first := disk
		if disk, err = d.observer.Await(ctx, "", op.id, settled(op, &found)); err != nil {
			if disk.ID == "" { // the wait ended before its first answer
				disk = first
			}
			return disk, stepWait, waited, unfinished(op, disk, err)
		}
		next, err = op.decide(disk, found)
	}
	return disk, next, waited, err
}

// inWords is the cloud's own answer that a disk does not exist, as the operation's failure.
func inWords(op operation, missing error) error {
	var e *cloud.Error
	if !errors.As(missing, &e) {
		return missing
	}
	of := *e
	of.Op = op.name
	return &of
}

// await waits until the cloud has done what it accepted. When it gave it up, the disk is as it was before.
func (d *Disks) await(ctx context.Context, op operation) (cloud.Disk, error) {
	found := true
	disk, err := d.observer.Await(ctx, op.name, op.id, settled(op, &found))
	if err != nil {
		return disk, unfinished(op, disk, err)
	}
	next, err := op.decide(disk, found)
	if err == nil && next == stepRequest {
		err = gaveUp(op, disk)
	}
	return disk, err
}

// gaveUp is the failure of an operation that the cloud accepted and that left the disk as it is.
func gaveUp(op operation, disk cloud.Disk) error {
	message := fmt.Sprintf("the cloud accepted the request%s and gave it up; the disk is %q", op.given, disk.RawState)
	if disk.Repair != "" {
		message += "; if the next try fails too, the cloud's operator finds out why and runs: " + disk.Repair
	}
	return &cloud.Error{Kind: cloud.ErrFailed, Op: op.name, Object: op.id, Message: message}
}

// settled is the predicate of waits: nothing is under way any more. It says in found whether the disk exists.
func settled(op operation, found *bool) observe.Done[cloud.Disk] {
	return func(d cloud.Disk, err error) (bool, error) {
		*found = err == nil
		next, err := op.decide(d, *found)
		return next != stepWait || err != nil, nil
	}
}

// unfinished says of a wait that ended too early in which state the disk is, and what to do if it stays there. Whatever
// ended it, a lost right to read the disk say, the operation itself goes on: its outcome is unknown.
func unfinished(op operation, disk cloud.Disk, err error) error {
	if !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", cloud.ErrOutcomeUnknown, err)
	}
	if disk.ID == "" {
		return fmt.Errorf("%s %s%s: %w", op.name, op.id, op.given, err)
	}
	advice := "ask the cloud's operator"
	if disk.Repair != "" {
		advice = "the cloud has lost the operation; its operator finds out which instance really has the disk, and then may run: " + disk.Repair
	}
	return fmt.Errorf("%s %s%s: %w: the disk is still %q; if it stays so, %s", op.name, op.id, op.given, err, disk.RawState, advice)
}

// Get reads a disk from the cloud.
func (d *Disks) Get(ctx context.Context, id string) (cloud.Disk, error) {
	return d.cloud.GetDisk(ctx, id)
}

// Attached attaches the disk to the instance and waits until it is. A disk that is attached elsewhere is
// cloud.ErrConflict, multiattach or not: whoever asks for one instance means one. The cloud itself refuses a second
// attachment unless the disk is multiattach; for such a disk say so, and it is looked at before the request is sent. If
// nobody knew and the cloud made a second attachment, it is ErrConflict until the first has gone.
// cloud.ErrNotFound when disk or instance do not exist, cloud.ErrExhausted when the instance is full, cloud.ErrFailed
// when the cloud gave up; then it may be tried again.
func (d *Disks) Attached(ctx context.Context, diskID, instanceID string, multiattach bool) error {
	_, err := d.pursue(ctx, operation{
		name: "attach disk", id: diskID, given: " to instance " + instanceID,
		decide:  func(disk cloud.Disk, found bool) (step, error) { return attachStep(disk, found, diskID, instanceID) },
		request: func(ctx context.Context) error { return d.cloud.AttachDisk(ctx, diskID, instanceID) },
	}, multiattach)
	return err
}

// Detached detaches the disk from the instance and waits until it is. It succeeds when the disk or the instance do not
// exist any more, or the disk is attached to others only.
func (d *Disks) Detached(ctx context.Context, diskID, instanceID string) error {
	disk, err := d.pursue(ctx, operation{
		name: "detach disk", id: diskID, given: " from instance " + instanceID,
		decide:  func(disk cloud.Disk, found bool) (step, error) { return detachStep(disk, found, instanceID), nil },
		request: func(ctx context.Context) error { return d.cloud.DetachDisk(ctx, diskID, instanceID) },
	}, false)
	if errors.Is(err, cloud.ErrNotFound) && disk.ID != "" {
		// Never success while the disk shows the attachment: its next user would meet the present one.
		return &cloud.Error{Kind: cloud.ErrBusy, Op: "detach disk", Object: diskID, Err: err,
			Message: fmt.Sprintf("the cloud knows no such attachment to instance %s, but the disk still shows it", instanceID)}
	}
	return err
}

// Extended makes the disk at least sizeGiB large, attached or not, and waits until it is. cloud.ErrNotFound when it
// does not exist, cloud.ErrExhausted over quota.
func (d *Disks) Extended(ctx context.Context, id string, sizeGiB int64) (cloud.Disk, error) {
	return d.pursue(ctx, operation{
		name: "extend disk", id: id, given: fmt.Sprintf(" to %d GiB", sizeGiB),
		decide:  func(disk cloud.Disk, found bool) (step, error) { return extendStep(disk, found, id, sizeGiB) },
		request: func(ctx context.Context) error { return d.cloud.ExtendDisk(ctx, id, sizeGiB) },
	}, true)
}

// Deleted deletes the disk and waits until it is gone. A disk that exists and is not this cluster's is
// cloud.ErrConflict and stays; so is one that is attached.
func (d *Disks) Deleted(ctx context.Context, id string) error {
	_, err := d.pursue(ctx, d.deletion(id), true)
	return err
}

func (d *Disks) deletion(id string) operation {
	return operation{
		name: "delete disk", id: id,
		decide:  func(disk cloud.Disk, found bool) (step, error) { return deleteStep(disk, found, d.cluster) },
		request: func(ctx context.Context) error { return d.cloud.DeleteDisk(ctx, id) },
	}
}
