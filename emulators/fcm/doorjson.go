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

// maxDoorBody is the largest body of the emulator's own doors: some hundred
// thousand outcomes.
const maxDoorBody = 32 << 20

// notJSONError says why a body is no JSON of the kind asked for.
type notJSONError struct{ why string }

func (e notJSONError) Error() string { return e.why }

// params refuses query parameters that the door does not know.
func params(r *http.Request, known ...string) error {
	var wrong faults
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if !slices.Contains(known, name) {
			wrong = append(wrong, fault{"query." + name, "is no parameter here"})
		}
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

func doorBody(r *http.Request) ([]byte, error) {
	if err := params(r); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxDoorBody+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxDoorBody {
		return nil, faults{{"body", fmt.Sprintf("is larger than %d bytes", maxDoorBody)}}
	}
	return b, nil
}

// strict decodes JSON that must be of v's type; v is a list or map of raw JSON.
func strict(data []byte, v any, what string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		return notJSONError{"must be " + what + ": " + err.Error()}
	}
	if _, err := d.Token(); err != io.EOF {
		return notJSONError{"has more after the JSON"}
	}
	return nil
}

// object reads the members of a JSON object one by one and collects what is
// wrong with them.
type object struct {
	at      string // where it stands: body, body[3]
	members map[string]json.RawMessage
	wrong   faults
}

// read decodes a member, if it is there, into a pointer; what says what the
// member must be.
func (o *object) read(name string, into any, what string) {
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

// done adds what is left over: members nobody knows.
func (o *object) done() faults {
	for _, name := range slices.Sorted(maps.Keys(o.members)) {
		o.wrong = append(o.wrong, fault{o.at + "." + name, "is no field here"})
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

// parseList reads a list of objects, each by read, and collects what is wrong
// with all of them.
func parseList[T interface{ check() faults }](data []byte, what string, read func(*object, *T)) ([]T, error) {
	var list []json.RawMessage
	if err := strict(data, &list, "a list of "+what); err != nil {
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
		wrong = append(wrong, merge(o.at, o.done(), all[i].check())...)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}

	return all, nil
}

// parseOutcomes reads the rules of PUT /emulator/outcomes.
func parseOutcomes(data []byte) ([]Outcome, error) {
	return parseList(data, "outcomes", func(o *object, r *Outcome) {
		o.read("token", &r.Token, aString)
		o.read("project", &r.Project, aString)
		o.read("outcome", &r.Outcome, aString)
		o.read("times", &r.Times, aCount)
		o.read("retryAfter", &r.RetryAfter, aDuration)
		o.read("latency", &r.Latency, aDuration)
		o.read("share", &r.Share, aShare)
	})
}

// parsePhones reads the phones of PUT /emulator/phones.
func parsePhones(data []byte) ([]Phone, error) {
	return parseList(data, "phones", func(o *object, p *Phone) {
		o.read("token", &p.Token, aString)
		o.read("platform", &p.Platform, aString)
		o.read("notifications", &p.Notifications, aString)
	})
}

// parseInstallations reads the installations of PUT /emulator/installations.
func parseInstallations(data []byte) ([]Installation, error) {
	return parseList(data, "installations", func(o *object, i *Installation) {
		o.read("fid", &i.FID, aString)
		o.read("registered", &i.Registered, aString)
	})
}

// merge adds to faults of form those of content, where form had none.
func merge(at string, form, content faults) faults {
	for _, f := range content {
		f.Location = at + "." + f.Location
		if !slices.ContainsFunc(form, func(g fault) bool { return g.Location == f.Location }) {
			form = append(form, f)
		}
	}
	return form
}

// parseSettings lays the settings that a body names over others.
func parseSettings(s Settings, data []byte) (Settings, error) {
	o := object{at: "body"}
	if err := strict(data, &o.members, "an object"); err != nil {
		return s, err
	}
	if o.members == nil {
		return s, faults{{"body", "must be an object"}}
	}

	o.read("latency", &s.Latency, aDuration)
	o.read("jitter", &s.Jitter, aDuration)
	o.read("slow", &s.Slow, aDuration)
	o.read("quotaPerMinute", &s.QuotaPerMinute, aCount)
	o.read("quotaShape", &s.QuotaShape, aString)
	o.read("jumpLatency", &s.JumpLatency, aDuration)
	o.read("jumpEvery", &s.JumpEvery, aDuration)
	o.read("jumpFor", &s.JumpFor, aDuration)
	o.read("phonesProject", &s.PhonesProject, aString)
	o.read("exclusiveInstallations", &s.ExclusiveInstallations, aFlag)
	o.read("fidsMustRegister", &s.FIDsMustRegister, aFlag)
	o.read("keep", &s.Keep, aCount)
	o.read("requireAuth", &s.RequireAuth, aFlag)
	o.read("goAwayAfter", &s.GoAwayAfter, aCount)
	o.read("topicLimit", &s.TopicLimit, aCount)
	o.read("seed", &s.Seed, aCount+", not negative")
	o.read("ignoreDuplicates", &s.IgnoreDuplicates, aFlag)
	if _, ok := o.members["chaos"]; ok {
		s.Chaos = nil // replaced, not merged
	}

	o.read("chaos", &s.Chaos, "an object of shares by outcome")
	if _, ok := o.members["outages"]; ok {
		s.Outages = nil // replaced, not merged
	}

	o.read("outages", &s.Outages, "an object of outcomes by platform or target")
	if wrong := merge(o.at, o.done(), s.check()); len(wrong) > 0 {
		return s, wrong
	}
	return s, nil
}

// settingsJSON is how settings are shown.
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
	}
}

// outcomesJSON is how rules are shown: as they are set.
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
