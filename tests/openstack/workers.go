package openstack

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	storageservices "github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/services"
	computeservices "github.com/gophercloud/gophercloud/v2/openstack/compute/v2/services"
)

// A worker is a process of Nova or Cinder that listens on the message bus only, as its API lists it.
type worker struct {
	unit     string // its name in the table of services
	up       bool
	reported time.Time // zero: not yet since it registered
}

// workersUp is a ready check: all workers have reported after their last start.
func workersUp(ctx context.Context) bool {
	provider, endpoint, err := Admin(ctx)
	if err != nil {
		return false
	}
	compute, err := computeWorkers(ctx, provider, endpoint)
	if err != nil {
		return false
	}
	storage, err := storageWorkers(ctx, provider, endpoint)
	if err != nil {
		return false
	}
	for _, w := range slices.Concat(compute, storage) {
		info, err := os.Stat(pidFile(w.unit))
		if err != nil || !w.works(info.ModTime()) {
			return false
		}
	}
	return len(compute) == 2+len(computeHosts) && len(storage) == 3
}

// works says that the worker has reported since it was started.
func (w worker) works(started time.Time) bool {
	return w.up && (w.reported.IsZero() || !w.reported.Before(started.UTC().Truncate(time.Second)))
}

func computeWorkers(ctx context.Context, provider *gophercloud.ProviderClient, endpoint gophercloud.EndpointOpts) ([]worker, error) {
	client, err := openstack.NewComputeV2(provider, endpoint)
	if err != nil {
		return nil, err
	}
	pages, err := computeservices.List(client, nil).AllPages(ctx)
	if err != nil {
		return nil, err
	}
	list, err := computeservices.ExtractServices(pages)
	if err != nil {
		return nil, err
	}
	var all []worker
	for _, s := range list {
		unit := s.Binary
		if unit == "nova-compute" {
			unit = "nova-" + s.Host
		}
		all = append(all, worker{unit: unit, up: s.State == "up", reported: s.UpdatedAt})
	}
	return all, nil
}

func storageWorkers(ctx context.Context, provider *gophercloud.ProviderClient, endpoint gophercloud.EndpointOpts) ([]worker, error) {
	client, err := openstack.NewBlockStorageV3(provider, endpoint)
	if err != nil {
		return nil, err
	}
	pages, err := storageservices.List(client, nil).AllPages(ctx)
	if err != nil {
		return nil, err
	}
	list, err := storageservices.ExtractServices(pages)
	if err != nil {
		return nil, err
	}
	var all []worker
	for _, s := range list {
		if strings.HasPrefix(s.Binary, "cinder-") {
			all = append(all, worker{unit: s.Binary, up: s.State == "up", reported: s.UpdatedAt})
		}
	}
	return all, nil
}
