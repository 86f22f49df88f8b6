package push

import (
	"fmt"
	"strings"
)

// A Fault is one thing wrong with what was sent in.
type Fault struct {
	Location string `json:"location"` // as in "body.audience.segments.any[3]"
	Message  string `json:"message"`
}

// Faults is everything wrong with what was sent in; as an error it names each.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.Location + ": " + x.Message
	}
	return strings.Join(lines, "; ")
}

// Err is f as an error, nil when there is no fault.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// maxFaults is how many faults a check spells out; the next one shows that there
// are more.
const maxFaults = 200

func (f *Faults) add(location, format string, a ...any) {
	if len(*f) > maxFaults {
		return
	}
	*f = append(*f, Fault{location, fmt.Sprintf(format, a...)})
}
