package ccm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/utils/clock"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/observe"
)

// instanceListTTL is how old the shared list may be. The library asks twice for every NotReady node every five seconds;
// all of that is answered from one list in this time.
const instanceListTTL = 15 * time.Second

// instances answers for all nodes from one shared list. A node that the list lacks is asked for by id: only the cloud's
// not-found for that id makes a Node be deleted.
type instances struct {
	cloud  cloud.Instances
	region string
	list   *observe.ListCache[cloud.Instance]
}

func newInstances(c cloud.Instances, region string) *instances {
	return &instances{
		cloud:  c,
		region: region,
		list:   observe.NewListCache(c.ListInstances, instanceListTTL, clock.RealClock{}),
	}
}

var _ cloudprovider.InstancesV2 = (*instances)(nil)

// InstanceExists implements cloudprovider.InstancesV2. The library deletes the Node when the answer is false.
func (i *instances) InstanceExists(ctx context.Context, node *corev1.Node) (bool, error) {
	_, err := i.find(ctx, node)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, cloudprovider.InstanceNotFound) && node.Spec.ProviderID != "":
		return false, nil
	case errors.Is(err, cloudprovider.InstanceNotFound):
		return false, fmt.Errorf("node %s is kept: it has no providerID, so its instance's absence cannot be proved; delete the Node by hand if it is gone",
			node.Name)
	default:
		return false, err
	}
}

// InstanceShutdown implements cloudprovider.InstancesV2.
func (i *instances) InstanceShutdown(ctx context.Context, node *corev1.Node) (bool, error) {
	instance, err := i.find(ctx, node)
	if err != nil {
		return false, err
	}
	return instance.State == cloud.InstanceStopped, nil
}

// InstanceMetadata implements cloudprovider.InstancesV2.
func (i *instances) InstanceMetadata(ctx context.Context, node *corev1.Node) (*cloudprovider.InstanceMetadata, error) {
	instance, err := i.find(ctx, node)
	if err != nil {
		return nil, err
	}
	id := node.Spec.ProviderID
	if id == "" {
		id = ProviderName + ":///" + instance.ID
	}
	region := instance.Region
	if region == "" {
		region = i.region
	}
	return &cloudprovider.InstanceMetadata{
		ProviderID:    id,
		InstanceType:  instance.Flavor,
		NodeAddresses: nodeAddresses(instance),
		Zone:          instance.Zone,
		Region:        region,
	}, nil
}

// nodeAddresses puts the internal addresses before the external ones, each in the cloud's order.
func nodeAddresses(instance cloud.Instance) []corev1.NodeAddress {
	var internal, external []corev1.NodeAddress
	for _, a := range instance.Addresses {
		if a.Kind == cloud.AddressExternal {
			external = append(external, corev1.NodeAddress{Type: corev1.NodeExternalIP, Address: a.IP})
		} else {
			internal = append(internal, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a.IP})
		}
	}
	return append(internal, external...)
}

// find returns the node's instance, or cloudprovider.InstanceNotFound.
func (i *instances) find(ctx context.Context, node *corev1.Node) (cloud.Instance, error) {
	if node.Spec.ProviderID == "" {
		return i.findByName(ctx, node.Name)
	}
	id, err := i.instanceID(node.Spec.ProviderID)
	if err != nil {
		return cloud.Instance{}, fmt.Errorf("node %s: %w", node.Name, err)
	}
	all, err := i.list.Get(ctx, time.Time{})
	if err != nil {
		return cloud.Instance{}, fmt.Errorf("node %s: list instances: %w", node.Name, err)
	}
	for _, instance := range all {
		if instance.ID == id && instance.State != cloud.InstanceDeleted {
			return instance, nil
		}
	}
	instance, err := i.cloud.GetInstance(ctx, id)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		return cloud.Instance{}, fmt.Errorf("node %s: %w: %w", node.Name, cloudprovider.InstanceNotFound, err)
	case err != nil:
		return cloud.Instance{}, fmt.Errorf("node %s: %w", node.Name, err)
	case instance.State == cloud.InstanceDeleted:
		return cloud.Instance{}, fmt.Errorf("node %s: instance %s is deleted: %w", node.Name, id, cloudprovider.InstanceNotFound)
	}
	return instance, nil
}

// findByName finds the instance of a node that nobody gave a providerID yet. A node may be younger than the list.
func (i *instances) findByName(ctx context.Context, name string) (cloud.Instance, error) {
	for _, notOlderThan := range []time.Time{{}, time.Now()} {
		all, err := i.list.Get(ctx, notOlderThan)
		if err != nil {
			return cloud.Instance{}, fmt.Errorf("node %s: list instances: %w", name, err)
		}
		var found []cloud.Instance
		for _, instance := range all {
			if strings.EqualFold(instance.Name, name) && instance.State != cloud.InstanceDeleted {
				found = append(found, instance)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return cloud.Instance{}, fmt.Errorf("node %s: %w: %d instances have this name, among them %s and %s: start the kubelet with --provider-id",
				name, cloud.ErrConflict, len(found), found[0].ID, found[1].ID)
		}
	}
	return cloud.Instance{}, fmt.Errorf("node %s: no instance has this name: %w", name, cloudprovider.InstanceNotFound)
}

// instanceID takes the id out of openstack:///<id> and openstack://<region>/<id>.
func (i *instances) instanceID(providerID string) (string, error) {
	rest, ok := strings.CutPrefix(providerID, ProviderName+"://")
	region, id, slash := strings.Cut(rest, "/")
	if !ok || !slash || id == "" || strings.Contains(id, "/") {
		return "", fmt.Errorf("providerID %q: %w: allowed are %s:///<id> and %s://<region>/<id>", providerID, cloud.ErrInvalid,
			ProviderName, ProviderName)
	}
	if region != "" && i.region != "" && region != i.region {
		return "", fmt.Errorf("providerID %q: %w: this controller serves region %q", providerID, cloud.ErrInvalid, i.region)
	}
	return id, nil
}
