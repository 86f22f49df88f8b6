package fcm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"
)

// maxAdminBody is the largest body of the paths below /emulator/, in bytes. It has room
// for some hundred thousand outcomes.
const maxAdminBody = 32 << 20

// A notJSONError says why a body is not JSON of the expected type.
type notJSONError struct{ why string }

func (e notJSONError) Error() string { return e.why }

// checkParams returns an error for query parameters that the path does not have.
func checkParams(r *http.Request, known ...string) error {
	var wrong faults
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !slices.Contains(known, name) {
			wrong = append(wrong, fault{"query." + name, "is not a parameter of this path"})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// readAdminBody reads the body of a request that has no query parameters.
func readAdminBody(r *http.Request) ([]byte, error) {
	if err := checkParams(r); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAdminBody+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxAdminBody {
		return nil, faults{{"body", fmt.Sprintf("is larger than %d bytes", maxAdminBody)}}
	}
	return b, nil
}

// decodeStrictly decodes JSON into v, which is a list or a map of raw JSON. what names
// the expected type for the error.
func decodeStrictly(data []byte, v any, what string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		return notJSONError{"must be " + what + ": " + err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return notJSONError{"has more after the JSON"}
	}
	return nil
}

// An object decodes the members of a JSON object one by one and collects their faults.
type object struct {
	at      string // its place in the request: body, body[3]
	members map[string]json.RawMessage
	wrong   faults
}

// decodeMember decodes a member into a pointer, and removes it from the members. An
// absent member changes nothing. what says what the member must be.
func (o *object) decodeMember(name string, into any, what string) {
	raw, ok := o.members[name]
	if !ok {
		return
	}

	delete(o.members, name)
	var err error
	if d, is := into.(*time.Duration); is {
		err = readDuration(raw, d)
	} else {
		err = json.Unmarshal(raw, into)
	}
	if err != nil || string(raw) == "null" {
		o.wrong = append(o.wrong, fault{o.at + "." + name, "must be " + what})
	}
}

func readDuration(raw json.RawMessage, into *time.Duration) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	d, err := time.ParseDuration(text)
	*into = d
	return err
}

// allFaults returns the faults so far, and one for each member that was not decoded.
func (o *object) allFaults() faults {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		o.wrong = append(o.wrong, fault{o.at + "." + name, "is not a field of this object"})
	}
	return o.wrong
}

const (
	aDuration = "a duration like 70ms"
	aCount    = "a whole number"
	aFlag     = "true or false"
	aString   = "a string"
	aShare    = "a number from 0 to 1"
)

// parseList reads a list of objects with read, and returns an error with the faults of
// all of them.
func parseList[T interface{ check() faults }](data []byte, what string, read func(*object, *T)) ([]T, error) {
	var list []json.RawMessage
	if err := decodeStrictly(data, &list, "a list of "+what); err != nil {
		return nil, err
	}

	var wrong faults
	all := make([]T, len(list))
	for i, raw := range list {
		o := object{at: fmt.Sprintf("body[%d]", i)}
		if err := json.Unmarshal(raw, &o.members); err != nil || o.members == nil {
			wrong = append(wrong, fault{o.at, "must be an object"})
			continue
		}
		read(&o, &all[i])
		wrong = append(wrong, mergeFaults(o.at, o.allFaults(), all[i].check())...)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}

	return all, nil
}

// parseOutcomes reads the rules of PUT /emulator/outcomes.
func parseOutcomes(data []byte) ([]Outcome, error) {
	return parseList(data, "outcomes", func(o *object, r *Outcome) {
		o.decodeMember("token", &r.Token, aString)
		o.decodeMember("project", &r.Project, aString)
		o.decodeMember("outcome", &r.Outcome, aString)
		o.decodeMember("times", &r.Times, aCount)
		o.decodeMember("retryAfter", &r.RetryAfter, aDuration)
		o.decodeMember("latency", &r.Latency, aDuration)
		o.decodeMember("share", &r.Share, aShare)
	})
}

// parsePhones reads the phones of PUT /emulator/phones.
func parsePhones(data []byte) ([]Phone, error) {
	return parseList(data, "phones", func(o *object, p *Phone) {
		o.decodeMember("token", &p.Token, aString)
		o.decodeMember("platform", &p.Platform, aString)
		o.decodeMember("notifications", &p.Notifications, aString)
	})
}

// parseInstallations reads the installations of PUT /emulator/installations.
func parseInstallations(data []byte) ([]Installation, error) {
	return parseList(data, "installations", func(o *object, i *Installation) {
		o.decodeMember("fid", &i.FID, aString)
		o.decodeMember("registered", &i.Registered, aString)
	})
}

// mergeFaults adds the faults of content to those of form. It leaves out a fault of
// content where form has one already.
func mergeFaults(at string, form, content faults) faults {
	for _, f := range content {
		f.Location = at + "." + f.Location
		if !slices.ContainsFunc(form, func(g fault) bool { return g.Location == f.Location }) {
			form = append(form, f)
		}
	}
	return form
}

// parseSettings returns the settings s with the values of a body. Settings that the body
// does not name stay.
func parseSettings(s Settings, data []byte) (Settings, error) {
	o := object{at: "body"}
	if err := decodeStrictly(data, &o.members, "an object"); err != nil {
		return s, err
	}
	if o.members == nil {
		return s, faults{{"body", "must be an object"}}
	}

	o.decodeMember("latency", &s.Latency, aDuration)
	o.decodeMember("jitter", &s.Jitter, aDuration)
	o.decodeMember("slow", &s.Slow, aDuration)
	o.decodeMember("quotaPerMinute", &s.QuotaPerMinute, aCount)
	o.decodeMember("quotaShape", &s.QuotaShape, aString)
	o.decodeMember("jumpLatency", &s.JumpLatency, aDuration)
	o.decodeMember("jumpEvery", &s.JumpEvery, aDuration)
	o.decodeMember("jumpFor", &s.JumpFor, aDuration)
	o.decodeMember("phonesProject", &s.PhonesProject, aString)
	o.decodeMember("exclusiveInstallations", &s.ExclusiveInstallations, aFlag)
	o.decodeMember("fidsMustRegister", &s.FIDsMustRegister, aFlag)
	o.decodeMember("keep", &s.Keep, aCount)
	o.decodeMember("requireAuth", &s.RequireAuth, aFlag)
	o.decodeMember("goAwayAfter", &s.GoAwayAfter, aCount)
	o.decodeMember("topicLimit", &s.TopicLimit, aCount)
	o.decodeMember("seed", &s.Seed, aCount+", not negative")
	o.decodeMember("ignoreDuplicates", &s.IgnoreDuplicates, aFlag)
	o.decodeMember("dataApiDisabled", &s.DataAPIDisabled, aFlag)
	if _, ok := o.members["chaos"]; ok {
		s.Chaos = nil // the map is replaced, not merged
	}

	o.decodeMember("chaos", &s.Chaos, "an object of shares by outcome")
	if _, ok := o.members["outages"]; ok {
		s.Outages = nil // the map is replaced, not merged
	}

	o.decodeMember("outages", &s.Outages, "an object of outcomes by platform or target")
	if wrong := mergeFaults(o.at, o.allFaults(), s.check()); len(wrong) > 0 {
		return s, wrong
	}
	return s, nil
}

// settingsJSON returns settings in the form in which they are read and shown.
func settingsJSON(s Settings) map[string]any {
	chaos, outages := s.Chaos, s.Outages
	if chaos == nil {
		chaos = map[string]float64{}
	}
	if outages == nil {
		outages = map[string]string{}
	}

	return map[string]any{
		"latency": s.Latency.String(), "jitter": s.Jitter.String(), "slow": s.Slow.String(),
		"quotaPerMinute": s.QuotaPerMinute, "keep": s.Keep, "requireAuth": s.RequireAuth,
		"goAwayAfter": s.GoAwayAfter, "topicLimit": s.TopicLimit, "seed": s.Seed,
		"ignoreDuplicates": s.IgnoreDuplicates, "chaos": chaos, "outages": outages,
		"quotaShape": s.QuotaShape, "jumpLatency": s.JumpLatency.String(), "jumpEvery": s.JumpEvery.String(),
		"jumpFor": s.JumpFor.String(), "phonesProject": s.PhonesProject,
		"exclusiveInstallations": s.ExclusiveInstallations, "fidsMustRegister": s.FIDsMustRegister,
		"dataApiDisabled": s.DataAPIDisabled,
	}
}

// outcomesJSON returns rules in the form in which they are set.
func outcomesJSON(rules []Outcome) []map[string]any {
	out := make([]map[string]any, len(rules))
	for i, r := range rules {
		m := map[string]any{"token": r.Token, "outcome": r.Outcome, "times": r.Times}
		if r.Project != "" {
			m["project"] = r.Project
		}
		if r.RetryAfter > 0 {
			m["retryAfter"] = r.RetryAfter.String()
		}
		if r.Latency > 0 {
			m["latency"] = r.Latency.String()
		}
		if r.Share > 0 {
			m["share"] = r.Share
		}
		out[i] = m
	}

	return out
}
