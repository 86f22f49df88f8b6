package cloud

import (
	"strings"
	"testing"
	"time"
)

// strictSettings are settings with a range.
type strictSettings struct {
	Common
	Every time.Duration `env:"EVERY" envDefault:"1m"`
}

func (s *strictSettings) Check() []error {
	return Between("EVERY", s.Every, time.Second, time.Hour)
}

// Only a process on Cloud Run ends, and its error names every fault.
func TestARevisionWithWrongSettingsIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ map[string]string
		faults  []string
	}{
		"right":                {map[string]string{"K_SERVICE": "tick", "GOOGLE_CLOUD_PROJECT": "p"}, nil},
		"wrong on Cloud Run":   {map[string]string{"K_SERVICE": "tick", "EVERY": "1ms", "CALL_TIMEOUT": "soon"}, []string{"GOOGLE_CLOUD_PROJECT", "EVERY", "soon"}},
		"wrong level":          {map[string]string{"K_SERVICE": "tick", "GOOGLE_CLOUD_PROJECT": "p", "LOG_LEVEL": "loud"}, []string{"LOG_LEVEL"}},
		"wrong somewhere else": {map[string]string{"EVERY": "1ms"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkRevision[strictSettings](c.environ)
			if len(c.faults) == 0 && err != nil {
				t.Errorf("the revision is refused: %v", err)
			}
			if len(c.faults) > 0 && err == nil {
				t.Fatal("the revision is not refused")
			}
			for _, fault := range c.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("the error does not name %s: %v", fault, err)
				}
			}
		})
	}
}
