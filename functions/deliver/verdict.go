package deliver

import (
	"context"
	"slices"
	"time"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// minJudged is how many answers a share is taken of.
const minJudged = 50

// book writes down FCM's answer for one target.
func (r *round) book(a answer) {
	if a.Outcome != fcm.Waiting {
		r.answered++
	}
	switch a.Outcome {
	case fcm.Accepted:
		r.receipt(a.target, push.ReceiptAccepted)
	case fcm.Invalid:
		if a.Code == push.CodeInvalidArgument {
			r.suspects = append(r.suspects, a)
			return
		}
		r.dead(a, push.ReceiptUnregistered)
	case fcm.Doubtful:
		r.suspects = append(r.suspects, a)
	case fcm.Refused:
		r.because(a.Text)
		r.receipt(a.target, push.ReceiptRefused)
	case fcm.Mismatch:
		r.because(a.Text)
		r.receipt(a.target, push.ReceiptRefused)
		if r.mismatch++; r.tooMany(r.mismatch) {
			r.troubled(a.Answer)
		}
	case fcm.ThirdParty: // Apple's or the browser's credentials: others go on
		r.because(a.Text)
		r.receipt(a.target, push.ReceiptFailed)
	case fcm.Misconfigured:
		r.troubled(a.Answer)
	case fcm.Waiting:
		r.wait(a.NotBefore)
	}
}

func (r *round) receipt(i int, v push.Receipt) {
	r.b.Receipts[i] = v
	r.unsaved++
}

func (r *round) because(text string) {
	if r.b.Reason == "" {
		r.b.Reason = text
	}
}

func (r *round) wait(until time.Time) {
	if until.After(r.waiting) {
		r.waiting = until
	}
}

func (r *round) troubled(a fcm.Answer) {
	if r.halt(stopTrouble) {
		r.trouble = a
	}
}

// dead books an invalid token: the batch owes its flag and its event from the
// very save that stores the receipt.
func (r *round) dead(a answer, v push.Receipt) {
	t := r.b.Targets[a.target]
	r.receipt(a.target, v)
	r.b.Owed = append(r.b.Owed, a.target)
	r.b.Dead = append(r.b.Dead, push.Dead{Customer: t.Customer, TokenID: push.TokenID(t.Token), Code: v.Code(), Status: a.Status, At: r.Now()})
}

// tooMany reports whether n of the answers so far are more than can be true.
func (r *round) tooMany(n int) bool {
	return r.answered >= minJudged && float64(n) > r.InvalidShare*float64(r.answered)
}

// judge decides what the INVALID_ARGUMENT answers of the round mean. The token
// is to blame only if the payload is known to be good: proven before, and not
// doubted by a share of such answers that cannot be true. A proof takes its
// time, so receipts are saved before it is asked for.
func (r *round) judge(ctx context.Context) error {
	if len(r.suspects) == 0 {
		return nil
	}
	open := r.tooMany(len(r.suspects))
	if open {
		r.Log.WarnContext(ctx, "breaker open", "mailing", r.m.ID, "batch", r.b.Batch,
			"share", float64(len(r.suspects))/float64(r.answered))
	}
	personal := r.letter.template != nil
	if !open && (r.m.Proven && !personal || !r.doubtful()) {
		r.convict()
		return nil
	}
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	out, cancel := r.within(ctx)
	defer cancel()
	if personal {
		r.judgeEach(out)
		return nil
	}
	switch proof := r.Sender.Prove(out, r.letter.common); {
	case proof.Outcome == fcm.Accepted, proof.Provisional && r.taken():
		r.convict()
	case proof.Outcome == fcm.Waiting:
		r.wait(proof.NotBefore)
	case proof.Outcome == fcm.Misconfigured:
		r.troubled(proof)
	default:
		r.acquit(proof.Text)
	}
	return nil
}

// doubtful reports whether an answer leaves open what it complains of.
func (r *round) doubtful() bool {
	for _, a := range r.suspects {
		if a.Outcome == fcm.Doubtful {
			return true
		}
	}
	return false
}

func (r *round) convict() {
	for _, a := range r.suspects {
		r.dead(a, push.ReceiptInvalidArgument)
	}
	r.suspects = nil
}

func (r *round) acquit(why string) {
	for _, a := range r.suspects {
		r.because(why)
		r.receipt(a.target, push.ReceiptRefused)
	}
	r.suspects = nil
}

// proveFirst proves the payload before the first batch of a mailing that was
// recorded while FCM was out of reach.
func (r *round) proveFirst(ctx context.Context) error {
	out, cancel := r.within(ctx)
	defer cancel()
	proof := r.Sender.Prove(out, r.letter.common)
	switch proof.Outcome {
	case fcm.Accepted:
		return r.proven(ctx)
	case fcm.Waiting:
		r.wait(proof.NotBefore)
		r.halt(stopUnproven)
	case fcm.Misconfigured:
		r.troubled(proof)
	default:
		if !proof.Provisional {
			return r.refuse(ctx, proof.Text)
		}
	}
	return nil
}

// proven records that FCM takes the payload. Every batch of the mailing may do
// so at the same moment: receipts are saved before.
func (r *round) proven(ctx context.Context) error {
	if err := r.catchUp(ctx); err != nil {
		return err
	}
	r.m.Proven = true
	return r.Store.Prove(ctx, r.m.ID)
}

// taken reports whether a token of the batch has accepted the payload, the same
// for all of them: a proof where topics take less than tokens do.
func (r *round) taken() bool {
	return r.letter != nil && r.letter.template == nil && slices.Contains(r.b.Receipts, push.ReceiptAccepted)
}

// refuse ends a mailing that FCM takes no message of.
func (r *round) refuse(ctx context.Context, why string) error {
	if _, err := r.Store.End(ctx, r.m.ID, push.Refused, why); err != nil && !push.IsConflict(err) {
		return err
	}
	r.because(why)
	r.end(push.ReceiptRefused)
	return nil
}
