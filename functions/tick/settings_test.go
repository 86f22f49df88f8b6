package tick

import (
	"strings"
	"testing"

	"carillon.example/shared/cloud"
)

// A call that ends before the next round leaves a gap in which nothing is
// published at its time, and then too much at once.
func TestTickHasToLastUntilTheNextRound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ timeout, every, fault string }{
		"as deployed":         {timeout: "120s", every: "60s"},
		"just enough":         {timeout: "85s", every: "60s"},
		"the default timeout": {every: "60s", fault: "CALL_TIMEOUT is 1m0s"},
		"a little too short":  {timeout: "84s", every: "60s", fault: "has to run for 1m15s"},
		"frequent rounds":     {timeout: "20s", every: "3s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			environ := map[string]string{"GOOGLE_CLOUD_PROJECT": "demo-tick", "TICK_EVERY": c.every}
			if c.timeout != "" {
				environ["CALL_TIMEOUT"] = c.timeout
			}
			_, err := cloud.Load[settings](environ)
			switch {
			case c.fault == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("answered %v, want a fault with %q", err, c.fault)
			}
		})
	}
}
