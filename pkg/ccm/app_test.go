package ccm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	cloudprovider "k8s.io/cloud-provider"
	"k8s.io/cloud-provider/app"
	"k8s.io/cloud-provider/app/config"
	"k8s.io/cloud-provider/options"
	controllermanager "k8s.io/controller-manager/app"
	"k8s.io/utils/ptr"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestBadConfigurationIsTheFirstThingSaid(t *testing.T) {
	cloud.Register(ProviderName, func(_ context.Context, cfg cloud.Config) (cloud.Cloud, error) {
		return nil, &cloud.Error{Kind: cloud.ErrInvalid, Op: "read", Object: cfg.File, Message: "clouds.lab.auth: missing"}
	})
	file := filepath.Join(t.TempDir(), "clouds.yaml")
	cases := []struct {
		name string
		args []string
		want []string
	}{
		{"the file and the field are named", []string{"--cloud-config=" + file}, []string{"--cloud-config", file, "clouds.lab.auth"}},
		{"another provider is refused", []string{"--cloud-provider=aws"}, []string{"--cloud-provider", `"aws"`, "openstack"}},
		{"an unknown flag is refused", []string{"--flaoting-network-id=x"}, []string{"flaoting-network-id"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cmd, err := NewCommand(t.Context(), "fairlead-ccm/test")
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			cmd.SetArgs(c.args)
			cmd.SetOut(&out)
			cmd.SetErr(&out)
			err = cmd.Execute()
			if err == nil {
				t.Fatal("it ran")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error lacks %q: %v", part, err)
				}
			}
		})
	}
}

func TestVersionIsTheProgramsOwn(t *testing.T) {
	cmd, err := NewCommand(t.Context(), "fairlead-ccm/1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Flags().Set("version", "false") }) // the library's flag is one for the whole process
	var out bytes.Buffer
	cmd.SetArgs([]string{"--version", "--cloud-provider=none"})
	cmd.SetOut(&out)
	if err := cmd.Execute(); err != nil || out.String() != "fairlead-ccm 1.2.3\n" {
		t.Errorf("said %q, %v", out.String(), err)
	}
}

func TestCloudThatDoesNotAnswerAtTheStartIsWaitedFor(t *testing.T) {
	for name, kind := range map[string]error{"it is down": cloud.ErrUnavailable, "it refuses the credentials": cloud.ErrUnauthorized} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const refused = 4
				tries := 0
				cloud.Register(ProviderName, func(context.Context, cloud.Config) (cloud.Cloud, error) {
					if tries++; tries <= refused {
						return nil, &cloud.Error{Kind: kind, Op: "authenticate"}
					}
					return cloudtest.NewMemory(cloudtest.MemoryOptions{Instances: []cloud.Instance{instance("id-1", "n1", cloud.InstanceRunning)}}), nil
				})
				a := testApp(t.Context(), t)
				if err := a.open(t.Context()); err != nil {
					t.Fatalf("the program ends: %v", err)
				}
				p := a.provider(nil)
				begin := time.Now()
				p.Initialize(nil, nil)
				if got := time.Since(begin); got != (refused-1)*connectPause {
					t.Errorf("waited %v", got)
				}
				v2, _ := p.InstancesV2()
				if exists, err := v2.InstanceExists(t.Context(), node("n1", "openstack:///id-1")); !exists || err != nil {
					t.Errorf("exists %v, %v", exists, err)
				}
			})
		})
	}
}

func TestProgramStopsWhileItWaitsForTheCloudAndNoNodeIsJudged(t *testing.T) {
	cloud.Register(ProviderName, func(context.Context, cloud.Config) (cloud.Cloud, error) {
		return nil, &cloud.Error{Kind: cloud.ErrUnavailable, Op: "authenticate"}
	})
	ctx, cancel := context.WithCancel(t.Context())
	a := testApp(ctx, t)
	if err := a.open(ctx); err != nil {
		t.Fatal(err)
	}
	p := a.provider(nil)
	cancel()
	p.Initialize(nil, nil)
	v2, _ := p.InstancesV2()
	for _, id := range []string{"", "openstack:///id-1"} {
		if exists, err := v2.InstanceExists(t.Context(), node("n1", id)); exists || err == nil || errors.Is(err, cloudprovider.InstanceNotFound) {
			t.Errorf("exists %v, %v", exists, err)
		}
	}
	start := a.serviceController(app.ControllerInitContext{}, (&config.Config{}).Complete(), p)
	if _, started, err := start(ctx, controllermanager.ControllerContext{}); started || err != nil {
		t.Errorf("the service controller: started %v, %v", started, err)
	}
}

func testApp(ctx context.Context, t *testing.T) *App {
	t.Helper()
	opts, err := options.NewCloudControllerManagerOptions()
	if err != nil {
		t.Fatal(err)
	}
	opts.KubeCloudShared.CloudProvider.Name = ProviderName
	return &App{userAgent: "fairlead-ccm/test", options: opts, stopping: ctx}
}

func TestProcessThatNeverLedGivesNoLeadershipAway(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, led := range map[string]bool{"a leader does": true, "one that waited beside the leader on its host does not": false} {
		t.Run(name, func(t *testing.T) {
			a := testApp(t.Context(), t)
			a.client = fake.NewClientset(&coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "fairlead-ccm"},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To(host + "_another-process")},
			})
			a.options.Generic.LeaderElection.ResourceNamespace, a.options.Generic.LeaderElection.ResourceName = "kube-system", "fairlead-ccm"
			a.led.Store(led)
			if err := a.shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			lease, err := a.client.CoordinationV1().Leases("kube-system").Get(t.Context(), "fairlead-ccm", metav1.GetOptions{})
			if err != nil || (*lease.Spec.HolderIdentity == "") != led {
				t.Errorf("held by %q, %v", *lease.Spec.HolderIdentity, err)
			}
		})
	}
}

func TestOnlyRealControllersAreRegistered(t *testing.T) {
	got := (&App{}).controllers()
	for _, name := range []string{"cloud-node-controller", "cloud-node-lifecycle-controller", "service-lb-controller"} {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d controllers", len(got))
	}
}

func TestClusterIdentityIsTheUIDOfKubeSystemUnlessToldOtherwise(t *testing.T) {
	client := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "the-uid"}})
	if got, err := (&App{}).cluster(t.Context(), client); got != "the-uid" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := (&App{clusterID: "mine"}).cluster(t.Context(), fake.NewClientset()); got != "mine" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := (&App{}).cluster(t.Context(), fake.NewClientset()); err == nil || !strings.Contains(err.Error(), "--cluster-id") {
		t.Errorf("%v", err)
	}
}

func TestOnlyOurOwnLeaseIsGivenAway(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for holder, want := range map[string]string{host + "_123": "", "another_123": "another_123"} {
		client := fake.NewClientset(&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "fairlead-ccm"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To(holder), LeaseDurationSeconds: ptr.To[int32](15)},
		})
		if err := releaseLease(t.Context(), client, "kube-system", "fairlead-ccm"); err != nil {
			t.Fatal(err)
		}
		lease, err := client.CoordinationV1().Leases("kube-system").Get(t.Context(), "fairlead-ccm", metav1.GetOptions{})
		if err != nil || *lease.Spec.HolderIdentity != want {
			t.Errorf("held by %q, want %q, %v", *lease.Spec.HolderIdentity, want, err)
		}
	}
}
