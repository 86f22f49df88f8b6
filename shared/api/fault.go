package api

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

const (
	// maxFaults is how many faults an answer names.
	maxFaults = 200
	// maxLocation is how many bytes of the place of a fault an answer repeats. The place
	// is limited because the name of an unknown field is input.
	maxLocation = 100
)

// Join adds the faults of later checks to those of the first check. It leaves out
// faults that only follow from the first ones: a field that is already reported is not
// reported again as empty.
func Join(first push.Faults, later ...push.Fault) push.Faults {
	out := slices.Clone(first)
	for _, f := range later {
		if !slices.ContainsFunc(first, func(x push.Fault) bool { return isWithin(f, x) }) {
			out = append(out, f)
		}
	}
	return out
}

// NamesField reports whether one of the faults is at one of the places.
func NamesField(faults push.Faults, places ...string) bool {
	return slices.ContainsFunc(faults, func(f push.Fault) bool { return slices.Contains(places, f.Location) })
}

// isWithin reports whether f is at the place of outer or below it.
func isWithin(f, outer push.Fault) bool {
	rest, ok := strings.CutPrefix(f.Location, outer.Location)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// toFaults converts errors of huma to faults. Faults contain no values, a missing field
// has its own place, and the faults are sorted by place: huma takes its order from a map.
func toFaults(errs []error) push.Faults {
	var out push.Faults
	for _, err := range errs {
		if err == nil {
			continue
		}
		var e huma.ErrorDetailer
		if !errors.As(err, &e) {
			out = append(out, push.Fault{Message: err.Error()})
			continue
		}
		// err.Error is not used: the text of an ErrorDetail contains the whole body, and
		// takes as long to write.
		d := e.ErrorDetail()
		out = append(out, locateMissing(push.Fault{Location: d.Location, Message: d.Message}))
	}

	slices.SortStableFunc(out, func(a, b push.Fault) int { return cmp.Compare(a.Location, b.Location) })
	return out
}

// locateMissing moves huma's fault of a missing property from the object to the place of
// the property itself. It returns every other fault as it is.
func locateMissing(f push.Fault) push.Fault {
	name, ok := strings.CutPrefix(f.Message, "expected required property ")
	if name, ok2 := strings.CutSuffix(name, " to be present"); ok && ok2 {
		return push.Fault{Location: f.Location + "." + name, Message: "is missing"}
	}
	return f
}

// limitFaults returns the faults that an answer names: at most maxFaults, and then
// moreFaults, with their places cut to maxLocation.
func limitFaults(faults push.Faults) push.Faults {
	out := slices.Clone(faults[:min(len(faults), maxFaults)])
	for i := range out {
		out[i].Location = push.Truncate(out[i].Location, maxLocation)
	}
	if len(out) < len(faults) {
		out = append(out, moreFaults)
	}
	return out
}
