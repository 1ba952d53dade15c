package scenario

import (
	"context"
	_ "embed" // the manifests
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

//go:embed manifests/database.yaml
var databaseManifest string

// The names in manifests/database.yaml.
const (
	databaseNamespace = "demo"
	databasePod       = "postgres-0"
	databaseClaim     = "data-postgres-0"
	databaseService   = "postgres"
	databasePassword  = "fairlead-demo"
)

// Database is PostgreSQL on a Fairlead disk behind a Fairlead load balancer.
type Database struct {
	*Cluster
	Pod     *corev1.Pod
	Address string // of the load balancer
}

// StartDatabase asks for the database and waits until it runs and its Service has an address.
func (c *Cluster) StartDatabase(ctx context.Context) (*Database, error) {
	if err := c.Kubectl(ctx, databaseManifest, "apply", "-f", "-"); err != nil {
		return nil, err
	}
	db := &Database{Cluster: c}
	var err error
	if db.Pod, err = c.PodReady(ctx, databaseNamespace, databasePod, "", 2*time.Minute); err != nil {
		return nil, err
	}
	db.Address, err = c.ServiceAddress(ctx, databaseNamespace, databaseService, 4*time.Minute)
	return db, err
}

// ServiceAddress waits until the Service has an address of its load balancer.
func (c *Cluster) ServiceAddress(ctx context.Context, namespace, name string, limit time.Duration) (string, error) {
	var address string
	err := Until(ctx, "address of Service "+name, limit, func(ctx context.Context) (bool, string, error) {
		s, err := c.Kube.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		for _, in := range s.Status.LoadBalancer.Ingress {
			address = in.IP
		}
		return address != "", "no address", nil
	})
	if err != nil {
		return "", fmt.Errorf("%w\n%w", err, c.explain(ctx, namespace, name))
	}
	return address, nil
}

// host is where psql reaches the database.
func (db *Database) host() string {
	if db.cloud().balances {
		return db.Address
	}
	return db.Pod.Status.PodIP
}

// SQL runs statements with psql on this host and returns the rows.
func (db *Database) SQL(ctx context.Context, statements string) (string, error) {
	cmd := exec.CommandContext(ctx, "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--command="+statements)
	cmd.Env = append(os.Environ(), "PGHOST="+db.host(), "PGPORT=5432", "PGUSER=postgres", "PGDATABASE=postgres",
		"PGPASSWORD="+databasePassword, "PGCONNECT_TIMEOUT=5")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("psql at %s: %w: %s", db.host(), err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), nil
}

// Answers waits until the database answers: the members of its load balancer are probed every few seconds.
func (db *Database) Answers(ctx context.Context) error {
	return Until(ctx, "database answers at "+db.host(), time.Minute, func(ctx context.Context) (bool, string, error) {
		got, err := db.SQL(ctx, "select 1")
		return got == "1", got, err
	})
}

// Fill writes rows and returns their fingerprint.
func (db *Database) Fill(ctx context.Context, rows int) (string, error) {
	statement := fmt.Sprintf("create table if not exists ships (id int primary key, name text); "+
		"insert into ships select i, md5(i::text) from generate_series(1, %d) i on conflict do nothing;", rows)
	if _, err := db.SQL(ctx, statement); err != nil {
		return "", err
	}
	return db.Fingerprint(ctx)
}

// Fingerprint is the number of rows and a digest of them all.
func (db *Database) Fingerprint(ctx context.Context) (string, error) {
	return db.SQL(ctx, "select count(*) || ' rows, digest ' || md5(string_agg(id || name, ',' order by id)) from ships")
}

// Move deletes the pod so that it is placed on the other node, and waits until it runs there.
func (db *Database) Move(ctx context.Context) error {
	from := db.Pod.Spec.NodeName
	if err := db.Cordon(ctx, from, true); err != nil {
		return err
	}
	defer func() { _ = db.Cordon(context.WithoutCancel(ctx), from, false) }()
	if err := db.Kube.CoreV1().Pods(databaseNamespace).Delete(ctx, databasePod, metav1.DeleteOptions{}); err != nil {
		return err
	}
	pod, err := db.PodReady(ctx, databaseNamespace, databasePod, string(db.Pod.UID), 3*time.Minute)
	if err != nil {
		return err
	}
	if pod.Spec.NodeName == from {
		return fmt.Errorf("the pod is on %s again", from)
	}
	db.Pod = pod
	return nil
}

// Cordon keeps new pods off a node, or lets them on again.
func (c *Cluster) Cordon(ctx context.Context, node string, unschedulable bool) error {
	patch := fmt.Sprintf(`{"spec":{"unschedulable":%v}}`, unschedulable)
	_, err := c.Kube.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// Grow asks for a larger disk while the database runs, and waits until the file system inside has grown.
func (db *Database) Grow(ctx context.Context, size string) error {
	claims := db.Kube.CoreV1().PersistentVolumeClaims(databaseNamespace)
	patch := fmt.Sprintf(`{"spec":{"resources":{"requests":{"storage":%q}}}}`, size)
	if _, err := claims.Patch(ctx, databaseClaim, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		return err
	}
	want := resource.MustParse(size)
	err := Until(ctx, "volume of "+size, time.Minute, func(ctx context.Context) (bool, string, error) {
		claim, err := claims.Get(ctx, databaseClaim, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		pv, err := db.Kube.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		got := pv.Spec.Capacity[corev1.ResourceStorage]
		return got.Cmp(want) >= 0, got.String(), nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%w", err, db.explain(ctx, databaseNamespace, databaseClaim))
	}
	// The kubelet looks at a pod's claims once a minute, or when the pod changes: change it.
	nudge := fmt.Sprintf(`{"metadata":{"annotations":{"fairlead.io/size":%q}}}`, size)
	if _, err := db.Kube.CoreV1().Pods(databaseNamespace).Patch(ctx, databasePod, types.StrategicMergePatchType, []byte(nudge), metav1.PatchOptions{}); err != nil {
		return err
	}
	return Until(ctx, "file system of "+size, 2*time.Minute, func(ctx context.Context) (bool, string, error) {
		claim, err := claims.Get(ctx, databaseClaim, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		got := claim.Status.Capacity[corev1.ResourceStorage]
		return got.Cmp(want) >= 0, got.String(), nil
	})
}

// Size is what df says inside the pod: the data file system's size.
func (db *Database) Size(ctx context.Context) (string, error) {
	out, err := db.Exec(ctx, databaseNamespace, databasePod, "df", "--human-readable", "--output=size", "/data")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(out)
	if len(fields) == 0 {
		return "", fmt.Errorf("df printed nothing")
	}
	return fields[len(fields)-1], nil
}

// DeleteDatabase deletes the database with its disk and Service, and waits until the cluster has forgotten them.
func (c *Cluster) DeleteDatabase(ctx context.Context) error {
	return c.DeleteNamespace(ctx, databaseNamespace)
}

// DeleteNamespace deletes a namespace with all in it and waits for its end.
func (c *Cluster) DeleteNamespace(ctx context.Context, name string) error {
	err := c.Kube.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	err = Until(ctx, "end of namespace "+name, 3*time.Minute, func(ctx context.Context) (bool, string, error) {
		ns, err := c.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, "", nil
		}
		if err != nil {
			return false, "", err
		}
		return false, fmt.Sprint(ns.Status.Conditions), nil
	})
	if err != nil {
		return err
	}
	return Until(ctx, "end of all PersistentVolumes", 2*time.Minute, func(ctx context.Context) (bool, string, error) {
		pvs, err := c.Kube.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, "", err
		}
		return len(pvs.Items) == 0, fmt.Sprintf("%d left", len(pvs.Items)), nil
	})
}

// Clean waits until the project holds nothing that Kubernetes asked for, and reports violations as an error.
func (c *Cluster) Clean(ctx context.Context) error {
	err := Until(ctx, "nothing left in the cloud", time.Minute, func(ctx context.Context) (bool, string, error) {
		left, err := c.Leftovers(ctx)
		return left.Empty(), left.String(), err
	})
	if err != nil {
		return err
	}
	violations, err := c.Witness.Violations(ctx)
	if err != nil {
		return err
	}
	if len(violations) > 0 {
		return fmt.Errorf("the cloud saw %d safety violations, the first: %+v", len(violations), violations[0])
	}
	return nil
}
