package customers

import "context"

// callerOf names who makes a request: the source of the opt-outs and opt-ins it
// reports.
func callerOf(context.Context) string { return "api" }
