package push

// A ListState says whether an answer has the customers or tokens that a
// mailing's audience lists.
type ListState string

// The states of a list.
const (
	ListShown   ListState = "shown"
	ListLeftOut ListState = "left_out" // it is long and was not asked for
	ListDeleted ListState = "deleted"  // it is deleted 30 days after the mailing's lifetime
)

// An AudienceList describes the list of customers or tokens of an audience, also if
// the list itself is not included.
type AudienceList struct {
	Of      string    `json:"of" enum:"customers,tokens"`
	Entries int       `json:"entries" doc:"how many the draft lists, duplicates included"`
	State   ListState `json:"state" enum:"shown,left_out,deleted" doc:"left_out: more than 100, ask with audience=whole; deleted: 30 days after the mailing's last moment"`
}
