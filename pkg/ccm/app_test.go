package ccm

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"github.com/fairlead-io/fairlead/pkg/cloud"
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
