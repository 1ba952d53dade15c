package drivers

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairlead-io/fairlead/tests/tools"
)

// cluster is an API server and its etcd: Kubernetes as far as fairlead-ccm sees it. It is not the lab's, of which a machine
// has one: that may be in use.
type cluster struct {
	kubernetes.Interface
	kubeconfig string
}

// newCluster starts one that goes with the test.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	etcd, peer, api := freePort(t), freePort(t), freePort(t)
	etcdURL, peerURL := fmt.Sprintf("http://127.0.0.1:%d", etcd), fmt.Sprintf("http://127.0.0.1:%d", peer)
	store := startProcess(t, filepath.Join(tool(t, "etcd"), "etcd"), "--name=ccm", "--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL, "--listen-peer-urls="+peerURL,
		"--initial-advertise-peer-urls="+peerURL, "--initial-cluster=ccm="+peerURL, "--log-level=panic")
	t.Cleanup(store.kill) // after the API server has ended; it has no clean end of its own
	key, token := filepath.Join(dir, "serviceaccount.key"), rand.Text()
	writeKey(t, key)
	tokens := filepath.Join(dir, "tokens.csv")
	write(t, tokens, token+",admin,admin,system:masters\n")
	startProcess(t, filepath.Join(tool(t, "kubernetes"), "kube-apiserver"), "--etcd-servers="+etcdURL, "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", api), "--cert-dir="+dir, "--service-cluster-ip-range=10.202.0.0/16", "--token-auth-file="+tokens,
		"--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+key, "--service-account-signing-key-file="+key, "--profiling=false")
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig")}
	config := clientcmdapi.NewConfig()
	config.Clusters["ccm"] = &clientcmdapi.Cluster{Server: fmt.Sprintf("https://127.0.0.1:%d", api), InsecureSkipTLSVerify: true}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["ccm"] = &clientcmdapi.Context{Cluster: "ccm", AuthInfo: "admin"}
	config.CurrentContext = "ccm"
	if err := clientcmd.WriteToFile(*config, c.kubeconfig); err != nil {
		t.Fatal(err)
	}
	client, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	client.WarningHandler = rest.NoWarnings{}
	if c.Interface, err = kubernetes.NewForConfig(client); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, "the API server has its system namespace", func() bool {
		_, err := c.CoreV1().Namespaces().Get(t.Context(), metav1.NamespaceSystem, metav1.GetOptions{})
		return err == nil
	})
	return c
}

// tool is the directory of one of the lab's tools.
func tool(t *testing.T, name string) string {
	t.Helper()
	dir, err := tools.Build(t.Context(), name, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it does not wait
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeKey makes the key that signs ServiceAccounts' tokens.
func writeKey(t *testing.T, file string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
}

// uninitialized is the taint of a Node that no cloud provider has seen yet.
const uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

// addNode makes a Node as a kubelet with an external cloud provider does.
func (c *cluster) addNode(t *testing.T, name, address string) {
	t.Helper()
	node, err := c.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"alpha.kubernetes.io/provided-node-ip": address}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: uninitialized, Value: "true", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}}
	if _, err := c.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// silence makes a Node look as it does when its kubelet reports no more.
func (c *cluster) silence(t *testing.T, name string) {
	t.Helper()
	patch := `{"status":{"conditions":[{"type":"Ready","status":"Unknown","reason":"NodeStatusUnknown"}]}}`
	if _, err := c.CoreV1().Nodes().Patch(t.Context(), name, "application/strategic-merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// node reads a Node; nil when there is none.
func (c *cluster) node(t *testing.T, name string) *corev1.Node {
	t.Helper()
	node, err := c.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// service makes a Service of type LoadBalancer.
func (c *cluster) service(t *testing.T, name string, change func(*corev1.Service)) {
	t.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{
			{Name: "http", Port: 80}, {Name: "https", Port: 443},
		}},
	}
	if change != nil {
		change(s)
	}
	if _, err := c.CoreV1().Services(metav1.NamespaceDefault).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// read reads a Service; nil when there is none.
func (c *cluster) read(ctx context.Context, t *testing.T, name string) *corev1.Service {
	t.Helper()
	s, err := c.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// edit changes a Service, whoever else does at the same time.
func (c *cluster) edit(t *testing.T, name string, change func(*corev1.Service)) {
	t.Helper()
	eventually(t, 10*time.Second, "the change of Service "+name, func() bool {
		s := c.read(t.Context(), t, name)
		change(s)
		_, err := c.CoreV1().Services(metav1.NamespaceDefault).Update(t.Context(), s, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsConflict(err) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// events are the reasons and messages of a Service's events.
func (c *cluster) events(t *testing.T, name string) string {
	t.Helper()
	list, err := c.CoreV1().Events(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range list.Items {
		lines = append(lines, e.Reason+" "+e.Message)
	}
	return strings.Join(lines, "\n")
}
