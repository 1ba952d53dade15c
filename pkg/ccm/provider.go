// Package ccm is Fairlead's cloud-controller-manager: the cloud as k8s.io/cloud-provider wants it, in that library's own
// program, with our own Service controller in the place of the library's.
package ccm

import (
	cloudprovider "k8s.io/cloud-provider"

	"github.com/fairlead-io/fairlead/pkg/cloud"
)

// ProviderName is the name of the provider and the scheme of provider ids.
const ProviderName = "openstack"

// Provider is the cloud as the library's controllers see it: instances only. Load balancers are the business of
// package service; the library's Service controller does not run.
type Provider struct {
	instances *instances
}

var _ cloudprovider.Interface = (*Provider)(nil)

// NewProvider returns the provider of a cloud. Region is the one that provider ids without a region belong to.
func NewProvider(c cloud.Instances, region string) *Provider {
	return &Provider{instances: newInstances(c, region)}
}

// Initialize implements cloudprovider.Interface. There is nothing to start.
func (p *Provider) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}

// InstancesV2 implements cloudprovider.Interface.
func (p *Provider) InstancesV2() (cloudprovider.InstancesV2, bool) { return p.instances, true }

// LoadBalancer implements cloudprovider.Interface.
func (p *Provider) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return nil, false }

// Instances implements cloudprovider.Interface.
func (p *Provider) Instances() (cloudprovider.Instances, bool) { return nil, false }

// Zones implements cloudprovider.Interface.
func (p *Provider) Zones() (cloudprovider.Zones, bool) { return nil, false }

// Clusters implements cloudprovider.Interface.
func (p *Provider) Clusters() (cloudprovider.Clusters, bool) { return nil, false }

// Routes implements cloudprovider.Interface.
func (p *Provider) Routes() (cloudprovider.Routes, bool) { return nil, false }

// ProviderName implements cloudprovider.Interface.
func (p *Provider) ProviderName() string { return ProviderName }

// HasClusterID implements cloudprovider.Interface: the kube-system namespace's UID always is there.
func (p *Provider) HasClusterID() bool { return true }
