package cloudtest_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
	testclock "k8s.io/utils/clock/testing"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMemoryConforms runs on virtual time, which stands still between two looks: every transition can be caught.
func TestMemoryConforms(t *testing.T) {
	cloudtest.Run(t, func(*testing.T) cloudtest.Fixture {
		instance := func(id, ip string) cloud.Instance {
			return cloud.Instance{
				ID: id, Name: "n-" + id, State: cloud.InstanceRunning, RawState: "ACTIVE", Flavor: "small", Zone: "az1", Region: "r1",
				Addresses: []cloud.Address{{Kind: cloud.AddressInternal, Network: "private", IP: ip}},
			}
		}
		clock := testclock.NewFakeClock(start)
		m := cloudtest.NewMemory(cloudtest.MemoryOptions{
			Clock: clock, Work: func(cloudtest.Op) time.Duration { return 4 * time.Second }, Region: "r1",
			Instances: []cloud.Instance{instance("i1", "10.200.0.11"), instance("i2", "10.200.0.12")},
			Quota:     cloudtest.Quota{GiB: 1000},
		})
		return cloudtest.Fixture{
			Cloud: m, Instances: [2]string{"i1", "i2"}, DiskType: "standard", MultiattachType: "multiattach", Zone: "az2",
			OverQuotaGiB: 1001, SubnetID: cloudtest.PrivateSubnetID, ExternalNetworkID: cloudtest.ExternalNetworkID,
			Members: [2]string{"10.200.0.11", "10.200.0.12"},
			Fail:    func(_ *testing.T, op cloudtest.Op) { m.FailWork(op, 1) },
			Pause:   func() { clock.Step(time.Second) }, Requests: func() int { return m.Count() },
		}
	})
}
