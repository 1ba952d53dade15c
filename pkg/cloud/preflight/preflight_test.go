package preflight

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/fairlead-io/fairlead/pkg/cloud"
	"github.com/fairlead-io/fairlead/pkg/cloud/cloudtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("k8s.io/klog/v2.(*flushDaemon).run.func1"))
}

var mixed = []cloud.Finding{
	{Check: "credentials", Level: cloud.LevelOK, Message: "user robot"},
	{Check: "zones", Level: cloud.LevelWarning, Message: "no disks in az2"},
	{Check: "quota-volumes", Level: cloud.LevelError, Message: "volumes: 10 of 10 used"},
	{Check: "quota-volumes", Level: cloud.LevelOK, Message: "volumes of the type ssd: 1 of 5 used"},
}

func TestTheTable(t *testing.T) {
	var out bytes.Buffer
	if err := Print(&out, mixed); err == nil || !strings.Contains(err.Error(), "1 of 4 findings are errors") {
		t.Errorf("%v", err)
	}
	want := `CHECK           LEVEL     MESSAGE
credentials     ok        user robot
zones           warning   no disks in az2
quota-volumes   error     volumes: 10 of 10 used
quota-volumes   ok        volumes of the type ssd: 1 of 5 used
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if err := Print(&out, mixed[:2]); err != nil {
		t.Errorf("a warning is no error: %v", err)
	}
	if err := Print(brokenPipe{}, mixed[:1]); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

var errBroken = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func TestACloudThatCannotBeOpenedIsAFinding(t *testing.T) {
	for kind, check := range map[error]string{cloud.ErrInvalid: "configuration", cloud.ErrUnauthorized: "credentials", cloud.ErrUnavailable: "identity"} {
		cloud.Register("preflight-test", func(context.Context, cloud.Config) (cloud.Cloud, error) {
			return nil, &cloud.Error{Kind: kind, Op: "authenticate", Message: "what to do"}
		})
		found := Run(t.Context(), "preflight-test", cloud.Config{}, cloud.Use{})
		if len(found) != 1 || found[0].Check != check || found[0].Level != cloud.LevelError || !strings.Contains(found[0].Message, "what to do") {
			t.Errorf("%v: %+v", kind, found)
		}
	}
	cloud.Register("preflight-test", func(context.Context, cloud.Config) (cloud.Cloud, error) {
		return cloudtest.NewMemory(cloudtest.MemoryOptions{}), nil
	})
	if found := Run(t.Context(), "preflight-test", cloud.Config{}, cloud.Use{}); len(found) != 1 || found[0].Level != cloud.LevelOK {
		t.Errorf("%+v", found)
	}
}

// checked counts the checks, and finds something else in each.
type checked struct{ times atomic.Int64 }

func (c *checked) Preflight(context.Context, cloud.Use) []cloud.Finding {
	if c.times.Add(1) == 1 {
		return mixed
	}
	return mixed[:1]
}

func counted(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			counts[name] = m.GetGauge().GetValue()
		}
	}
	return counts
}

func TestARunningProgramChecksDailyAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true), ktesting.Verbosity(2)))
		ctx, stop := context.WithCancel(klog.NewContext(t.Context(), logger))
		reg, c := prometheus.NewRegistry(), &checked{}
		ended := make(chan error, 1)
		go func() { ended <- Watch(ctx, c, cloud.Use{}, reg) }()
		synctest.Wait()
		const name = "fairlead_cloud_preflight_findings "
		if got := counted(t, reg); c.times.Load() != 1 || len(got) != 4 || got[name+"quota-volumes error"] != 1 || got[name+"zones warning"] != 1 {
			t.Errorf("after %d checks: %v", c.times.Load(), got)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if got := counted(t, reg); c.times.Load() != 2 || len(got) != 1 || got[name+"credentials ok"] != 1 {
			t.Errorf("after a day, %d checks: %v", c.times.Load(), got)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		buffer, ok := logger.GetSink().(ktesting.Underlier)
		if !ok {
			t.Fatalf("%T", logger.GetSink())
		}
		log := buffer.GetBuffer().String()
		for _, line := range []string{"volumes: 10 of 10 used", "no disks in az2", "Cloud preflight done"} {
			if !strings.Contains(log, line) {
				t.Errorf("the log lacks %q:\n%s", line, log)
			}
		}
		if strings.Contains(log, "user robot") {
			t.Errorf("what is ok fills the log:\n%s", log)
		}
	})
}

func TestACheckThatTheEndBreaksOffIsNotTold(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	reg := prometheus.NewRegistry()
	if err := Watch(ctx, &checked{}, cloud.Use{}, reg); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, reg); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
