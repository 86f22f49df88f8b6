package deliver

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"carillon.example/shared/push"
)

// plausibilityStore changes a mailing because of what FCM answers.
type plausibilityStore interface {
	SetPlatformPaused(ctx context.Context, id string, p push.Platform, paused bool) error
	ResumeImplausibleMailing(ctx context.Context, id string) (*push.Mailing, error)
}

// pauseOrResume pauses the mailing if the answers of a project are implausible, and
// resumes it if FCM accepts tokens of the project because of which it was paused.
func (d *delivery) pauseOrResume(ctx context.Context, evidence evidenceByProject) error {
	for _, project := range slices.Sorted(maps.Keys(evidence)) {
		switch x := evidence[project]; {
		case x.refused && !d.hasMailingEnded():
			if err := d.pauseIfImplausible(ctx, project); err != nil {
				return err
			}
		case x.accepted || x.recovered: // FCM accepts tokens that it refused before
			if err := d.resumeIfPausedFor(ctx, project); err != nil {
				return err
			}
		}
	}

	return nil
}

// projectEvidence is the evidence that a call has found about a project.
type projectEvidence struct {
	refused   bool // FCM refuses control tokens, or there are none
	accepted  bool // FCM accepts a control token
	recovered bool // FCM accepts tokens that it called invalid before
}

// evidenceByProject is the evidence that a call has found, by project; "" is the default
// one.
type evidenceByProject map[string]*projectEvidence

// forProject returns the evidence about a project, and adds it if there is none.
func (e evidenceByProject) forProject(project string) *projectEvidence {
	if e[project] == nil {
		e[project] = &projectEvidence{}
	}
	return e[project]
}

// recoveredProjects lists the projects in which FCM accepts tokens that it called invalid
// before.
func (e evidenceByProject) recoveredProjects() (projects []string) {
	for project, x := range e {
		if x.recovered {
			projects = append(projects, project)
		}
	}
	return projects
}

// pauseIfImplausible pauses the mailing if the share of held flags of a project is greater
// than can be true.
func (d *delivery) pauseIfImplausible(ctx context.Context, project string) error {
	if err := d.saveUnsavedResults(ctx); err != nil {
		return err
	}
	c, err := d.countHeld(ctx, project)
	if err != nil || !isImplausible(c.held, c.answered, d.InvalidShare) {
		return err
	}

	reason := push.PausedImplausible
	if c.wrongSender > c.held/2 {
		reason = push.PausedWrongSender
	}
	return d.pauseMailing(ctx, project, reason, implausibleText(c.held, c.answered))
}

// heldCounts are counts of the targets that have a result.
type heldCounts struct {
	answered    int // all of them
	held        int // those that wait for evidence before they flag a token
	wrongSender int // those of held that are SENDER_ID_MISMATCH
}

// countHeld counts the answers of a project. With one project they are those of the whole
// mailing. With several, those of the batch stand for the project, because the totals
// have no counts by project, and tokens that are held in another project must not count
// for this one. Only if the batch has too few answers of the project, those of the whole
// mailing decide.
func (d *delivery) countHeld(ctx context.Context, project string) (heldCounts, error) {
	if c := d.countHeldInBatch(project); d.Projects.HasSeveral() && c.answered >= minAnswers {
		return c, nil
	}
	return d.countHeldInMailing(ctx)
}

// countHeldInBatch counts the answers of a project in the batch.
func (d *delivery) countHeldInBatch(project string) (c heldCounts) {
	for i, result := range d.batch.Results {
		if result != push.ResultPending && d.projectOf(i) == project {
			c.answered++
		}
	}

	for _, i := range d.batch.HeldFlags {
		if d.projectOf(i) != project {
			continue
		}
		c.held++
		if d.isWrongSender(i) {
			c.wrongSender++
		}
	}

	return c
}

// countHeldInMailing counts all answers of the mailing so far.
func (d *delivery) countHeldInMailing(ctx context.Context) (c heldCounts, err error) {
	m := *d.mailing
	m.Totals = nil
	totals, err := d.Store.ReadTotals(ctx, &m)
	if err != nil {
		return c, err
	}

	for code, n := range totals.Held {
		c.held += int(n)
		if code == push.CodeWrongSender {
			c.wrongSender = int(n)
		}
	}

	c.answered = int(totals.Tokens.Targeted - totals.Tokens.Pending)
	return c, nil
}

// resumeIfPausedFor resumes a mailing that was paused because of implausible answers of a
// project, when FCM accepts tokens of the project again.
func (d *delivery) resumeIfPausedFor(ctx context.Context, project string) error {
	if d.mailing.State != push.Paused || !d.mailing.PausedReason.Implausible() || d.mailing.PausedProject != project {
		return nil
	}
	m, err := d.Store.ResumeImplausibleMailing(ctx, d.mailing.ID)
	if err != nil {
		return err
	}
	d.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "from", push.Paused, "to", m.State, "reason", "FCM accepts tokens again")
	return nil
}

// isImplausible reports whether n of so many answers are more than the share that can be
// true.
func isImplausible(n, answers int, share float64) bool {
	return answers >= minAnswers && float64(n) > share*float64(answers)
}

// implausibleText says in words why a mailing is paused.
func implausibleText(held, answered int) string {
	return fmt.Sprintf("FCM calls %d of %d tokens invalid, and refuses tokens that it accepted lately, or has accepted none yet. "+
		"No token is flagged. The mailing continues when FCM accepts them again; POST /v1/mailings/{id}/flag-held or /drop-held decides it by hand", held, answered)
}
