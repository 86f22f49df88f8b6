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

// groupStore has what an instance remembers of FCM's answers, by group. It is safe for
// concurrent use.
type groupStore struct {
	projects push.Projects

	mu      sync.Mutex // guards byGroup and what it points to
	byGroup map[tokenGroup]*groupMemory
}

// A groupMemory is what is remembered of one token group.
type groupMemory struct {
	groupHistory
	releases releaseAnswers // of young installation ids
	saved    time.Time      // when its control tokens were last stored
	savedOf  int            // how many they were then
	read     time.Time      // when its control tokens were last read from the store
	gone     bool           // several were stored, and none of them can be used any more
}

func newGroupStore(p push.Projects) *groupStore {
	return &groupStore{projects: p, byGroup: map[tokenGroup]*groupMemory{}}
}

// groupOf returns the group of a target.
func groupOf(t push.Target) tokenGroup {
	return tokenGroup{kind: t.Kind, platform: t.Platform, app: t.App, young: t.Young}
}

// controlGroup returns a group that stands for all groups of a kind in a project ("": the
// default one). An accepted token of it shows that FCM answers correctly, and that the tokens
// of this kind belong to the project. For installation ids only another installation id shows
// the second (see credibleWithoutControl), so an accepted one counts for both kinds
// (controlGroupsOf).
func controlGroup(kind push.Kind, project string) tokenGroup {
	app := "\x00any"
	if project != "" {
		app += "\x00" + project
	}
	return tokenGroup{kind: kind, app: app}
}

// controlGroupsOf lists the groups of controlGroup that an accepted token of a kind counts for.
func controlGroupsOf(kind push.Kind, project string) []tokenGroup {
	if kind == push.KindFID {
		return []tokenGroup{controlGroup(push.KindFID, project), controlGroup(push.KindToken, project)}
	}
	return []tokenGroup{controlGroup(push.KindToken, project)}
}

// storedName returns the name of a group in the store.
func (g tokenGroup) storedName() string {
	name := string(g.kind) + "\x00" + string(g.platform) + "\x00" + g.app
	if g.young {
		name += "\x00young"
	}
	return name
}

// groupLocked returns the memory of a group, a new one if there is none. The caller holds mu.
func (g *groupStore) groupLocked(key tokenGroup) *groupMemory {
	if g.byGroup[key] == nil {
		g.byGroup[key] = &groupMemory{}
	}
	return g.byGroup[key]
}

// answersBefore returns the answers of the group that came shortly before now.
func (g *groupStore) answersBefore(key tokenGroup, now time.Time) []bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groupLocked(key).recentAnswers(now)
}

// addAnswer adds FCM's answer for a target.
func (g *groupStore) addAnswer(t push.Target, invalid bool, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()

	x := g.groupLocked(groupOf(t))
	x.addAnswer(invalid, now)
	if !invalid {
		c := control{customer: t.Customer, token: t.Token, kind: t.Kind, at: now}
		x.addControl(c)
		for _, any := range controlGroupsOf(t.Kind, g.projects.ProjectOf(t.App)) {
			g.groupLocked(any).addControl(c)
		}
	}
}

// countUnaccepted returns how many invalid answers the group had while FCM accepted
// none.
func (g *groupStore) countUnaccepted(key tokenGroup) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groupLocked(key).unaccepted
}

// readControls returns the group's control tokens, from the store if this instance has
// none. gone: FCM accepted several tokens of the group lately, and all of them are flagged
// or removed by now.
func (g *groupStore) readControls(ctx context.Context, s dataStore, key tokenGroup, now time.Time) (controls []control, gone bool, err error) {
	g.mu.Lock()
	x := g.groupLocked(key)
	have := append([]control{}, x.groupHistory.controls...)
	look := len(have) == 0 && now.Sub(x.read) >= controlsReadEvery
	gone = len(have) == 0 && x.gone
	g.mu.Unlock()
	if !look {
		return have, gone, nil
	}

	// The lock is not held during the read, so another call may read the same.

	usable, stored, err := s.ReadControls(ctx, key.storedName())
	if err != nil {
		return nil, false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	x.read = now
	for _, c := range usable {
		x.addControl(control{customer: c.Customer, token: c.Token, kind: c.Kind, at: now})
	}

	// One customer may have removed the app. Several of the last accepted tokens at once are
	// no coincidence: an instance that lost its memory must not take this for a group of
	// which FCM has never accepted a token.
	x.gone = stored > 1 && len(usable) == 0
	controls = append(controls, x.groupHistory.controls...)
	return controls, x.gone && len(controls) == 0, nil
}

// forgetSave makes the next call store the control tokens of a group, because the last
// write failed.
func (g *groupStore) forgetSave(key tokenGroup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.groupLocked(key)
	x.saved, x.savedOf = time.Time{}, 0
}

// isControl reports whether a token is a control token of its group.
func (g *groupStore) isControl(key tokenGroup, token string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.groupLocked(key).groupHistory.controls, func(c control) bool { return c.token == token })
}

// takeControlsToSave lists the groups whose control tokens are to be stored now, and records that
// they are.
func (g *groupStore) takeControlsToSave(keys map[tokenGroup]bool, now time.Time) map[tokenGroup][]store.ControlToken {
	g.mu.Lock()
	defer g.mu.Unlock()

	out := map[tokenGroup][]store.ControlToken{}
	for key := range keys {
		x := g.groupLocked(key)
		// A list that has grown is stored at once: one token could be gone before the next time.
		n := len(x.groupHistory.controls)
		if n == 0 || n <= x.savedOf && now.Sub(x.saved) < controlsSavedEvery {
			continue
		}
		x.saved, x.savedOf = now, n
		for _, c := range x.groupHistory.controls {
			out[key] = append(out[key], store.ControlToken{Customer: c.customer, Token: c.token, Kind: c.kind})
		}
	}

	return out
}
