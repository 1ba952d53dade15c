// Package scenario is the main job of Fairlead, step by step, on a running lab: the demo narrates the steps, the
// end-to-end tests assert them. Nothing here knows which of the two it serves.
package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/fairlead-io/fairlead/tests/lab"
	"github.com/fairlead-io/fairlead/tests/lab/layout"
	"github.com/fairlead-io/fairlead/tests/witness"
)

// Namespace is where the charts are installed.
const Namespace = "fairlead"

// Cluster is the running lab, seen as a user and as its cloud's operator.
type Cluster struct {
	Kube   kubernetes.Interface
	Config *rest.Config
	// Cloud is lab.Devcloud or lab.OpenStack.
	Cloud   string
	Witness Witness
	// Root is the checkout: where the charts are.
	Root string
	// Log receives the output of helm and other commands.
	Log io.Writer
}

// Connect opens the lab's cluster.
func Connect(root string, log io.Writer) (*Cluster, error) {
	config, err := clientcmd.BuildConfigFromFlags("", layout.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("the lab is not up (make lab-up): %w", err)
	}
	config.QPS, config.Burst = 50, 100
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	status, err := lab.ReadStatus()
	if err != nil {
		return nil, err
	}
	return &Cluster{Kube: kube, Config: config, Cloud: status.Cloud, Witness: clouds[status.Cloud].witness, Root: root, Log: log}, nil
}

// Devcloud is the embedded cloud's operator. Only a lab on that cloud has one.
func Devcloud() witness.Witness { return witness.Witness{URL: layout.CloudURL} }

// Leftovers are what the lab's project holds beyond its servers.
func (c *Cluster) Leftovers(ctx context.Context) (witness.Leftovers, error) {
	return witness.Project(ctx, layout.CloudsYAML, layout.CloudName)
}

// Until asks every 200 ms whether something is so, for at most limit, and says in its error what was seen last.
// An error of the question is a state like any other: the API server may just be busy.
func Until(ctx context.Context, what string, limit time.Duration, ask func(context.Context) (done bool, seen string, err error)) error {
	var seen string
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		done, now, err := ask(ctx)
		if seen = now; err != nil {
			seen = err.Error()
		}
		return done && err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: not within %s; last seen: %s", what, limit, seen)
	}
	return nil
}

// PodReady waits until the pod is ready and returns it; it must not be the one with the UID not.
func (c *Cluster) PodReady(ctx context.Context, namespace, name, not string, limit time.Duration) (*corev1.Pod, error) {
	var pod *corev1.Pod
	err := Until(ctx, "pod "+namespace+"/"+name+" ready", limit, func(ctx context.Context) (bool, string, error) {
		p, err := c.Kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		pod = p
		ready := string(p.UID) != not && p.DeletionTimestamp == nil && podCondition(p, corev1.PodReady)
		return ready, describePod(p), nil
	})
	if err != nil {
		return nil, errors.Join(err, c.explain(ctx, namespace, name))
	}
	return pod, nil
}

func podCondition(p *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func describePod(p *corev1.Pod) string {
	s := fmt.Sprintf("phase %s on %q", p.Status.Phase, p.Spec.NodeName)
	for _, cs := range p.Status.ContainerStatuses {
		switch {
		case cs.State.Waiting != nil:
			s += fmt.Sprintf(", %s waits: %s %s", cs.Name, cs.State.Waiting.Reason, cs.State.Waiting.Message)
		case cs.State.Terminated != nil:
			s += fmt.Sprintf(", %s ended: %s exit %d", cs.Name, cs.State.Terminated.Reason, cs.State.Terminated.ExitCode)
		}
	}
	return s
}

// explain gathers an object's events.
func (c *Cluster) explain(ctx context.Context, namespace, name string) error {
	events, err := c.Events(ctx, namespace, name)
	if err != nil || len(events) == 0 {
		return err
	}
	text := "events:"
	for _, e := range events {
		text += fmt.Sprintf("\n  %s %s: %s", e.Type, e.Reason, e.Message)
	}
	return errors.New(text)
}

// Events are the events of the object with that name, of whatever kind.
func (c *Cluster) Events(ctx context.Context, namespace, name string) ([]corev1.Event, error) {
	list, err := c.Kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Exec runs a command in a pod's first container and returns what it printed.
func (c *Cluster) Exec(ctx context.Context, namespace, pod string, command ...string) (string, error) {
	req := c.Kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	exec, err := remotecommand.NewSPDYExecutor(c.Config, "POST", req.URL())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	if err := exec.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr}); err != nil {
		return "", fmt.Errorf("%v in pod %s: %w: %s", command, pod, err, stderr.String())
	}
	return stdout.String(), nil
}
