package push

// A HeldDecision is what a person decides about the held flags of a mailing.
type HeldDecision string

// The decisions.
const (
	FlagHeld HeldDecision = "flag" // the tokens are invalid: flag them
	DropHeld HeldDecision = "drop" // the tokens are valid: set no flag
)
