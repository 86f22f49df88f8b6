package customers

import (
	"context"
	"fmt"
	"time"

	"carillon.example/shared/push"
)

const (
	// statsDays is how many days GET /v1/stats answers where none are named.
	statsDays = 90
	// maxStatsDays is how many days one answer has at most.
	maxStatsDays = 731
)

// statsInput is GET /v1/stats.
type statsInput struct {
	From string `query:"from" maxLength:"10" doc:"the first day, as 2026-11-26; absent: 90 days ago"`
	To   string `query:"to" maxLength:"10" doc:"the last day; absent: today"`
}

// statsOutput is the answer to GET /v1/stats.
type statsOutput struct {
	Body struct {
		Days []push.DayStats `json:"days" doc:"in order of time; a day that was not counted is left out"`
	}
}

// showStats answers whom push could reach, day by day.
func (s *service) showStats(ctx context.Context, in *statsInput) (*statsOutput, error) {
	first, last, faults := in.parseDays(s.Now().UTC())
	if len(faults) > 0 {
		return nil, faults
	}
	days, err := s.Store.ListDayStats(ctx, first.Format(push.DayLayout), last.Format(push.DayLayout))
	if err != nil {
		return nil, err
	}
	out := &statsOutput{}
	out.Body.Days = days
	return out, nil
}

// parseDays returns the first and the last day that are asked for.
func (in *statsInput) parseDays(now time.Time) (first, last time.Time, faults push.Faults) {
	read := func(at, text string, absent time.Time) time.Time {
		if text == "" {
			return absent
		}
		day, err := time.Parse(push.DayLayout, text)
		if err != nil {
			faults = append(faults, push.Fault{Location: at, Message: "must be a day like 2026-11-26"})
		}
		return day
	}

	last = read("query.to", in.To, now)
	first = read("query.from", in.From, last.AddDate(0, 0, 1-statsDays))
	if len(faults) == 0 && last.Sub(first) >= maxStatsDays*24*time.Hour {
		faults = append(faults, push.Fault{Location: "query.from", Message: fmt.Sprintf("must be less than %d days before the last day", maxStatsDays)})
	}
	return first, last, faults
}
