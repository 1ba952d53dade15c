package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// Client speaks to the lab's API server as an administrator. Like plainClient it keeps no connection: the end of one
// whose address goes with the server is never seen.
func Client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", layout.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%w; is the lab up?", err)
	}
	config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil } // whatever the environment names
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return closing{next} })
	return kubernetes.NewForConfig(config)
}

// closing ends the connection after each request.
type closing struct{ next http.RoundTripper }

func (c closing) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Close = true
	return c.next.RoundTrip(request)
}

// awaitReady returns when all these nodes are Ready and the controller manager has seen it: pods can be placed.
func awaitReady(ctx context.Context, places []layout.Node) error {
	client, err := Client()
	if err != nil {
		return err
	}
	var missing []string
	var last error
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		var list *corev1.NodeList
		if list, last = client.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); last == nil {
			missing = notReady(places, list.Items)
		}
		return last == nil && len(missing) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("nodes %s are not Ready: %w", strings.Join(missing, ", "), errors.Join(err, last))
	}
	return nil
}

// notReady names the places whose node is missing, not Ready, or still tainted as such.
func notReady(places []layout.Node, nodes []corev1.Node) []string {
	ready := map[string]bool{}
	for _, n := range nodes {
		tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady })
		ready[n.Name] = !tainted && slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
	}
	var missing []string
	for _, place := range places {
		if !ready[place.Name] {
			missing = append(missing, place.Name)
		}
	}
	return missing
}
