package deliver

import (
	"context"
	"slices"
	"sync"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// controlsSavedEvery is how often an instance stores a group's control tokens.
	controlsSavedEvery = 10 * time.Minute
	// controlsReadEvery is how often an instance reads the control tokens of a group
	// of which FCM has accepted none here.
	controlsReadEvery = 30 * time.Second
)

// groups has what an instance remembers of FCM's answers, by group. It is safe for
// concurrent use.
type groups struct {
	projects push.Projects

	mu sync.Mutex // guards of and what it points to
	of map[tokenGroup]*group
}

// A group is what is remembered of one token group.
type group struct {
	groupHistory
	releases releaseAnswers // of young installation ids
	saved    time.Time      // when its control tokens were last stored
	read     time.Time      // when its control tokens were last read from the store
}

func newGroups(p push.Projects) *groups {
	return &groups{projects: p, of: map[tokenGroup]*group{}}
}

// groupOf returns the group of a target.
func groupOf(t push.Target) tokenGroup {
	return tokenGroup{kind: t.Kind, platform: t.Platform, app: t.App, young: t.Young}
}

// anyOf returns the group of a project, "" for the default one, whose control tokens
// show two things: that FCM answers correctly there (any accepted token shows that), and
// that it is the project of tokens of a kind (an accepted installation id is needed for
// that; see credibleAlone).
func anyOf(kind push.Kind, project string) tokenGroup {
	app := "\x00any"
	if project != "" {
		app += "\x00" + project
	}
	return tokenGroup{kind: kind, app: app}
}

// anysOf lists the groups of anyOf that an accepted token of a kind counts for.
func anysOf(kind push.Kind, project string) []tokenGroup {
	if kind == push.KindFID {
		return []tokenGroup{anyOf(push.KindFID, project), anyOf(push.KindToken, project)}
	}
	return []tokenGroup{anyOf(push.KindToken, project)}
}

// name returns the name of a group in the store.
func (g tokenGroup) name() string {
	name := string(g.kind) + "\x00" + string(g.platform) + "\x00" + g.app
	if g.young {
		name += "\x00young"
	}
	return name
}

func (g *groups) getLocked(key tokenGroup) *group {
	if g.of[key] == nil {
		g.of[key] = &group{}
	}
	return g.of[key]
}

// answersBefore returns the answers of the group that came shortly before now.
func (g *groups) answersBefore(key tokenGroup, now time.Time) []bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.getLocked(key).recent(now)
}

// observe adds FCM's answer for a target.
func (g *groups) observe(t push.Target, invalid bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()

	x := g.getLocked(groupOf(t))
	x.add(invalid, now)
	if !invalid {
		c := control{customer: t.Customer, token: t.Token, kind: t.Kind, at: now}
		x.accept(c)
		for _, any := range anysOf(t.Kind, g.projects.ProjectOf(t.App)) {
			g.getLocked(any).accept(c)
		}
	}
}

// unacceptedAnswers returns how many invalid answers the group had while FCM accepted
// none.
func (g *groups) unacceptedAnswers(key tokenGroup) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.getLocked(key).lonely
}

// controls returns the group's control tokens, from the store if this instance has
// none.
func (g *groups) controls(ctx context.Context, s ledger, key tokenGroup, now time.Time) ([]control, error) {
	g.mu.Lock()
	x := g.getLocked(key)
	have := append([]control{}, x.groupHistory.controls...)
	look := len(have) == 0 && now.Sub(x.read) >= controlsReadEvery
	g.mu.Unlock()
	if !look {
		return have, nil
	}

	stored, err := s.Controls(ctx, key.name())
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	x.read = now
	for _, c := range stored {
		x.accept(control{customer: c.Customer, token: c.Token, kind: c.Kind, at: now})
	}
	return append([]control{}, x.groupHistory.controls...), nil
}

// isControl reports whether a token is a control token of its group.
func (g *groups) isControl(key tokenGroup, token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.getLocked(key).groupHistory.controls, func(c control) bool { return c.token == token })
}

// toSave lists the groups whose control tokens are to be stored now, and records that
// they are.
func (g *groups) toSave(keys map[tokenGroup]bool, now time.Time) map[tokenGroup][]store.ControlToken {
	g.mu.Lock()
	defer g.mu.Unlock()

	out := map[tokenGroup][]store.ControlToken{}
	for key := range keys {
		x := g.getLocked(key)
		if len(x.groupHistory.controls) == 0 || now.Sub(x.saved) < controlsSavedEvery {
			continue
		}
		x.saved = now
		for _, c := range x.groupHistory.controls {
			out[key] = append(out[key], store.ControlToken{Customer: c.customer, Token: c.token, Kind: c.kind})
		}
	}
	return out
}
