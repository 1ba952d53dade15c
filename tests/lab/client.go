package lab

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead-io/fairlead/tests/lab/layout"
)

// Client speaks to the lab's API server as an administrator.
func Client() (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", layout.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%w; is the lab up?", err)
	}
	return kubernetes.NewForConfig(config)
}

// awaitReady returns when all these nodes are Ready.
func awaitReady(ctx context.Context, places []layout.Node) error {
	client, err := Client()
	if err != nil {
		return err
	}
	var missing []string
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, startTimeout, true, func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, nil
		}
		missing = notReady(places, list.Items)
		return len(missing) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("nodes %s are not Ready: %w", strings.Join(missing, ", "), err)
	}
	return nil
}

func notReady(places []layout.Node, nodes []corev1.Node) []string {
	ready := map[string]bool{}
	for _, n := range nodes {
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready[n.Name] = true
			}
		}
	}
	var missing []string
	for _, place := range places {
		if !ready[place.Name] {
			missing = append(missing, place.Name)
		}
	}
	return missing
}
