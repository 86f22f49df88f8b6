package cloud_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/cloud"
)

type settings struct {
	cloud.Common
	Quota int `env:"QUOTA" envDefault:"600"`
}

func (s *settings) Check() []error { return cloud.Between("QUOTA", s.Quota, 1, 1000) }

func TestLoadReportsEveryFaultTogether(t *testing.T) {
	t.Parallel()
	_, err := cloud.Load[settings](map[string]string{"CALL_TIMEOUT": "soon", "QUOTA": "2000"})
	if err == nil {
		t.Fatal("faulty settings are accepted")
	}
	for _, want := range []string{"GOOGLE_CLOUD_PROJECT", "CallTimeout", "QUOTA is 2000; it must be between 1 and 1000"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q: %v", want, err)
		}
	}

	s, err := cloud.Load[settings](map[string]string{"GOOGLE_CLOUD_PROJECT": "p", "CALL_TIMEOUT": "90s"})
	if err != nil {
		t.Fatal(err)
	}
	want := settings{Common: cloud.Common{Project: "p", Database: "(default)", LogLevel: "info", CallTimeout: 90 * time.Second}, Quota: 600}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("the settings (-want +got):\n%s", diff)
	}
}

// FuzzLoad checks that settings from any environment are in their ranges or refused, and
// that nothing panics.
func FuzzLoad(f *testing.F) {
	for _, s := range [][4]string{{"p", "90s", "600", "info"}, {"", "", "", ""}, {"p", "soon", "2000", "${HOME}"}, {"p", "-1h", "0x10", "a\x00b"}, {"p", "9e99h", "1e3", "é"}} {
		f.Add(s[0], s[1], s[2], s[3])
	}
	f.Fuzz(func(t *testing.T, project, timeout, quota, level string) {
		s, err := cloud.Load[settings](map[string]string{"GOOGLE_CLOUD_PROJECT": project, "CALL_TIMEOUT": timeout, "QUOTA": quota, "LOG_LEVEL": level})
		switch {
		case err != nil:
		case s.Project == "":
			t.Error("an empty project is accepted, want a fault")
		case s.Project != project:
			t.Errorf("project %q is read as %q", project, s.Project)
		case s.Quota < 1 || s.Quota > 1000:
			t.Errorf("quota %q is read as %d, want a fault: it is not from 1 to 1000", quota, s.Quota)
		}
	})
}

// TestLazyKeepsSuccessAndForgetsFailure checks that the next request repeats a start that
// failed, and that a start that worked is not repeated.
func TestLazyKeepsSuccessAndForgetsFailure(t *testing.T) {
	t.Parallel()
	tries := 0
	h := cloud.Lazy(func(context.Context) (http.Handler, error) {
		if tries++; tries == 1 {
			return nil, errors.New("no credentials")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), nil
	})
	for i, want := range []int{http.StatusServiceUnavailable, http.StatusTeapot, http.StatusTeapot} {
		w := httptest.NewRecorder()
		h(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != want {
			t.Errorf("request %d got %d, want %d", i, w.Code, want)
		}
		if i > 0 {
			continue
		}
		if w.Header().Get("Retry-After") == "" {
			t.Errorf("the answer has no Retry-After: %v", w.Header())
		}
		if body := w.Body.String(); strings.Contains(body, "credentials") {
			t.Errorf("the answer has the text of the error: %s", body)
		}
	}

	if tries != 2 {
		t.Errorf("the handler was built %d times, want 2", tries)
	}
}

// TestLogIsWhatCloudLoggingReads checks the severity, the message, and the trace of the
// request.
func TestLogIsWhatCloudLoggingReads(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for header, value := range map[string]string{"Traceparent": "00-" + id + "-00f067aa0ba902b7-01", "X-Cloud-Trace-Context": id + "/1;o=1"} {
		var out bytes.Buffer
		log, err := cloud.Log(&out, cloud.Common{Project: "p", LogLevel: "info"})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(header, value)
		cloud.Traced(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			log.With("mailing", "m").WarnContext(r.Context(), "batch call ended", "accepted", 3)
			log.DebugContext(r.Context(), "not this")
		})).ServeHTTP(httptest.NewRecorder(), r)
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}

		want := map[string]any{"severity": "WARNING", "message": "batch call ended", "mailing": "m", "accepted": 3.0,
			"logging.googleapis.com/trace": "projects/p/traces/" + id}
		delete(line, "time")
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("%s: the line (-want +got):\n%s", header, diff)
		}
	}
	if _, err := cloud.Log(nil, cloud.Common{LogLevel: "loud"}); err == nil {
		t.Error(`the level "loud" is accepted`)
	}
}
