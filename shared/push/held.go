package push

// A HeldDecision is what a person decides about the flags of a mailing that
// wait for evidence.
type HeldDecision string

// The decisions.
const (
	FlagHeld HeldDecision = "flag" // the tokens are invalid: flag them
	DropHeld HeldDecision = "drop" // they are not: flag none of them
)
