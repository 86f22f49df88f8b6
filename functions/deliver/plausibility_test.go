package deliver

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

var androidTokens = tokenGroup{kind: push.KindToken, platform: push.Android, app: "shop"}
var iosFIDs = tokenGroup{kind: push.KindFID, platform: push.IOS, app: "shop"}

// scripted answers evidence as a test says.
type scripted struct {
	again    map[int]askResult // by answer; askInvalid where nothing is said
	controls controlResult
	asked    []int
}

func (s *scripted) askAgain(answers []int) []askResult {
	s.asked = append(s.asked, answers...)
	var out []askResult
	for _, i := range answers {
		result, said := s.again[i]
		if !said {
			result = askInvalid
		}
		out = append(out, result)
	}
	return out
}

func (s *scripted) askControls(tokenGroup) controlResult { return s.controls }

// answers reads "a" as accepted and "i" as invalid.
func answers(text string) []bool {
	var out []bool
	for _, c := range text {
		out = append(out, c == 'i')
	}
	return out
}

func TestDecideInvalid(t *testing.T) {
	t.Parallel()
	young := iosFIDs
	young.young = true
	for name, c := range map[string]struct {
		group    tokenGroup
		before   string
		answers  string
		again    map[int]askResult
		held     bool
		controls controlResult
		asked    []int
		want     tokenDecision
	}{
		"one among accepted ones":                    {androidTokens, "aaaa", "aaiaaa", nil, false, controlAccepted, nil, tokenDecision{flag: []int{2}}},
		"one among accepted ones, controls fail":     {androidTokens, "aaaa", "aaiaaa", nil, false, controlRefused, nil, tokenDecision{hold: []int{2}, refused: true}},
		"controls out of reach":                      {androidTokens, "aaaa", "aaiaaa", nil, false, controlUnanswered, nil, tokenDecision{hold: []int{2}}},
		"nothing accepted before":                    {androidTokens, "", "iaaa", nil, false, controlAccepted, []int{0}, tokenDecision{flag: []int{0}}},
		"three in a row, confirmed":                  {androidTokens, "aaaa", "aiiia", nil, false, controlAccepted, []int{1, 2, 3}, tokenDecision{flag: []int{1, 2, 3}}},
		"three in a row, one recovers":               {androidTokens, "aaaa", "aiiia", map[int]askResult{2: askAccepted}, false, controlAccepted, []int{1, 2, 3}, tokenDecision{drop: []int{2}, hold: []int{1, 3}}},
		"three in a row, one unanswered":             {androidTokens, "aaaa", "aiiia", map[int]askResult{2: askUnanswered}, false, controlAccepted, []int{1, 2, 3}, tokenDecision{flag: []int{1, 3}, hold: []int{2}}},
		"the answers before count":                   {androidTokens, "aaiiii", "ia", nil, false, controlAccepted, []int{0}, tokenDecision{flag: []int{0}}},
		"held by an earlier call":                    {androidTokens, "aaaa", "aaiaaa", nil, true, controlAccepted, []int{2}, tokenDecision{flag: []int{2}}},
		"one token alone, no control":                {androidTokens, "", "i", nil, false, controlMissing, []int{0}, tokenDecision{flag: []int{0}}},
		"one installation id alone, no control":      {iosFIDs, "", "i", nil, false, controlMissing, []int{0}, tokenDecision{hold: []int{0}, refused: true}},
		"one installation id alone, with control":    {iosFIDs, "", "i", nil, false, controlAccepted, []int{0}, tokenDecision{flag: []int{0}}},
		"one installation id alone, others accepted": {iosFIDs, "", "i", nil, false, controlElsewhere, []int{0}, tokenDecision{flag: []int{0}}},
		"half of the young ones": {young, "", "aiaiaiaiaiaiaiaiaiaiai", nil, false, controlAccepted,
			[]int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21}, tokenDecision{hold: []int{1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21}, releaseSuspected: true}},
		"five of ten young ones, a while ago": {young, "", "aiaiaiaiai", nil, true, controlAccepted,
			[]int{1, 3, 5, 7, 9}, tokenDecision{hold: []int{1, 3, 5, 7, 9}, releaseSuspected: true}},
		"nothing invalid": {androidTokens, "", "aaa", nil, false, controlAccepted, nil, tokenDecision{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &scripted{again: c.again, controls: c.controls}
			got := decideInvalid(groupAnswers{group: c.group, before: answers(c.before), invalid: answers(c.answers), heldBefore: c.held}, w)
			for _, list := range [][]int{got.flag, got.drop, got.hold} {
				slices.Sort(list)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tokenDecision{})); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.asked, w.asked); diff != "" {
				t.Errorf("asked again (-want +got):\n%s", diff)
			}
		})
	}
}

// An ending outage answers 404 to the questions about the tokens, and accepts
// the control tokens that are asked about next.
func TestOutageEndingBetweenTwoQuestionsFlagsNobody(t *testing.T) {
	t.Parallel()
	w := &endingOutage{}
	got := decideInvalid(groupAnswers{group: androidTokens, before: answers("aaaa"), invalid: answers("aiiia")}, w)
	if diff := cmp.Diff(tokenDecision{hold: []int{1, 2, 3}, refused: true}, got, cmp.AllowUnexported(tokenDecision{})); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
}

// An endingOutage refuses tokens and controls until it has been asked about tokens.
type endingOutage struct{ over bool }

func (o *endingOutage) askAgain(answers []int) []askResult {
	o.over = true
	return slices.Repeat([]askResult{askInvalid}, len(answers))
}

func (o *endingOutage) askControls(tokenGroup) controlResult {
	if o.over {
		return controlAccepted
	}
	return controlRefused
}

// Young installation ids that die in ones and twos are flagged by the second
// call that asks about them, unless it has shown meanwhile that many are invalid.
func TestYoungInstallationsWait(t *testing.T) {
	t.Parallel()
	young := iosFIDs
	young.young = true
	for name, c := range map[string]struct {
		answers groupAnswers
		want    tokenDecision
	}{
		"just now":              {groupAnswers{early: true}, tokenDecision{hold: []int{8}}},
		"just now, known good":  {groupAnswers{early: true, wereAccepted: true}, tokenDecision{flag: []int{8}}},
		"a while ago":           {groupAnswers{heldBefore: true}, tokenDecision{flag: []int{8}}},
		"suspected elsewhere":   {groupAnswers{heldBefore: true, suspected: true}, tokenDecision{hold: []int{8}}},
		"many of the others":    {groupAnswers{heldBefore: true, youngInvalid: 5, youngAnswered: 24}, tokenDecision{hold: []int{8}, releaseSuspected: true}},
		"a usual share":         {groupAnswers{heldBefore: true, youngInvalid: 5, youngAnswered: 25}, tokenDecision{flag: []int{8}}},
		"four of the others":    {groupAnswers{heldBefore: true, youngInvalid: 4, youngAnswered: 8}, tokenDecision{flag: []int{8}}},
		"many, but it is early": {groupAnswers{early: true, youngInvalid: 5, youngAnswered: 24}, tokenDecision{hold: []int{8}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.answers.group, c.answers.before, c.answers.invalid = young, answers("aaaaaaaa"), answers("aaaaaaaaia")
			got := decideInvalid(c.answers, &scripted{controls: controlAccepted})
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(tokenDecision{})); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

// When FCM accepts most of the young installation ids that it had refused, the
// release is no longer suspected; one that it accepts is one phone that was mended.
func TestASuspicionEnds(t *testing.T) {
	t.Parallel()
	young := iosFIDs
	young.young = true
	for _, c := range []struct {
		accepted, refused int
		want              bool
	}{{1, 5, false}, {4, 0, false}, {5, 0, true}, {5, 1, true}, {5, 2, false}} {
		again := map[int]askResult{}
		for i := range c.accepted {
			again[i] = askAccepted
		}
		invalid := slices.Repeat([]bool{true}, c.accepted+c.refused)
		got := decideInvalid(groupAnswers{group: young, heldBefore: true, suspected: true, invalid: invalid}, &scripted{again: again, controls: controlAccepted})
		if got.cleared != c.want {
			t.Errorf("with %d accepted again and %d refused the suspicion ends: %t, want %t", c.accepted, c.refused, got.cleared, c.want)
		}
		if len(got.flag) > 0 {
			t.Errorf("with %d accepted again and %d refused %d are flagged, want none", c.accepted, c.refused, len(got.flag))
		}
	}
}

func TestForeignTokensWithoutControlAreHeld(t *testing.T) {
	t.Parallel()
	for control, want := range map[controlResult]int{controlMissing: 0, controlElsewhere: 1} {
		got := decideInvalid(groupAnswers{group: androidTokens, invalid: answers("i"), wrongSender: true}, &scripted{controls: control})
		if len(got.flag) != want {
			t.Errorf("with control %d the token of another sender is flagged %d times, want %d", control, len(got.flag), want)
		}
	}
}

func TestTwentyTokensWithoutControlAreHeld(t *testing.T) {
	t.Parallel()
	invalid := make([]bool, fewInvalid)
	for i := range invalid {
		invalid[i] = true
	}
	got := decideInvalid(groupAnswers{group: androidTokens, invalid: invalid}, &scripted{controls: controlMissing})
	if len(got.flag) != 0 {
		t.Errorf("%d tokens flagged without any evidence, want none", len(got.flag))
	}
	if len(got.hold) != fewInvalid {
		t.Errorf("%d tokens held, want %d", len(got.hold), fewInvalid)
	}
}
