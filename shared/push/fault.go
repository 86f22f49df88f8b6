package push

import (
	"fmt"
	"strings"
)

// A Fault is one fault of a request.
type Fault struct {
	Location string `json:"location"` // as in "body.audience.segments.any[3]"
	Message  string `json:"message"`
}

// Faults has all faults of a request. As an error it names each.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, x := range f {
		lines[i] = x.Location + ": " + x.Message
	}
	return strings.Join(lines, "; ")
}

// Err returns f as an error, nil if there is no fault.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// WithLocation returns faults of a part of a request, whose locations begin with "body",
// with the location of that part.
func (f Faults) WithLocation(at string) Faults {
	out := make(Faults, len(f))
	for i, x := range f {
		out[i] = Fault{at + strings.TrimPrefix(x.Location, "body"), x.Message}
	}
	return out
}

// maxFaults is how many faults a check names; one more says that there are others.
const maxFaults = 200

// add adds a fault, up to one more than maxFaults.
func (f *Faults) add(location, format string, a ...any) {
	if len(*f) > maxFaults {
		return
	}
	*f = append(*f, Fault{location, fmt.Sprintf(format, a...)})
}
