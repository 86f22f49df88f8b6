package auth

import (
	"slices"
	"strconv"
	"strings"
)

// lookupRequest are the fields of accounts:lookup.
type lookupRequest struct {
	IDToken     string   `json:"idToken"`
	LocalID     []string `json:"localId"`
	Email       []string `json:"email"`
	PhoneNumber []string `json:"phoneNumber"`
}

type lookupAnswer struct {
	Kind  string     `json:"kind"`
	Users []*account `json:"users,omitempty"`
}

// lookup returns the account of an ID token to an app, and to a server the accounts with
// the given user ids, e-mail addresses and phone numbers, each once.
func lookup(_ *Server, c call, in lookupRequest) (any, error) {
	answer := lookupAnswer{Kind: "identitytoolkit#GetAccountInfoResponse"}
	if !c.owner {
		if in.IDToken == "" {
			return nil, badRequest("MISSING_ID_TOKEN")
		}
		a, _, err := c.signedIn(in.IDToken)
		answer.Users = []*account{a}
		return answer.copied(), err
	}

	add := func(a *account) {
		if a != nil && !slices.Contains(answer.Users, a) {
			answer.Users = append(answer.Users, a)
		}
	}
	for _, id := range in.LocalID {
		add(c.accounts[id])
	}
	for _, email := range in.Email {
		add(c.byEmail[strings.ToLower(email)])
	}
	for _, phone := range in.PhoneNumber {
		add(c.byPhone[phone])
	}
	return answer.copied(), nil
}

// copied returns the answer with copies of its accounts, because it is written after the
// lock is released.
func (l lookupAnswer) copied() lookupAnswer {
	l.Users = copyAccounts(l.Users)
	return l
}

func copyAccounts(all []*account) []*account {
	out := make([]*account, 0, len(all))
	for _, a := range all {
		if a == nil {
			continue
		}
		c := *a
		c.ProviderUserInfo = slices.Clone(a.ProviderUserInfo)
		out = append(out, &c)
	}
	return out
}

// deleteRequest are the fields of accounts:delete.
type deleteRequest struct {
	IDToken string `json:"idToken"`
	LocalID string `json:"localId"`
}

// deleteAccount deletes the account of an ID token, or the one that a server names.
func deleteAccount(_ *Server, c call, in deleteRequest) (any, error) {
	var a *account
	var err error
	switch {
	case c.owner && in.LocalID == "":
		err = badRequest("MISSING_LOCAL_ID")
	case c.owner:
		a = c.accounts[in.LocalID]
		err = refuse(a == nil, "USER_NOT_FOUND")
	case in.IDToken == "":
		err = badRequest("MISSING_ID_TOKEN")
	default:
		a, _, err = c.signedIn(in.IDToken)
	}
	if err != nil {
		return nil, err
	}

	c.remove(a)
	return map[string]any{"kind": "identitytoolkit#DeleteAccountResponse"}, nil
}

// maxDeleted is how many accounts one request may delete.
const maxDeleted = 1000

// batchDeleteRequest are the fields of accounts:batchDelete.
type batchDeleteRequest struct {
	LocalIDs []string `json:"localIds"`
	Force    bool     `json:"force"` // also accounts that are not disabled
}

// batchDelete deletes the accounts that a server lists.
func batchDelete(_ *Server, c call, in batchDeleteRequest) (any, error) {
	if len(in.LocalIDs) == 0 || len(in.LocalIDs) > maxDeleted {
		return nil, badRequest("LOCAL_ID_LIST_EXCEEDS_LIMIT")
	}
	var failed []map[string]any
	for i, id := range in.LocalIDs {
		a := c.accounts[id]
		switch {
		case a == nil:
		case !a.isDisabled() && !in.Force:
			failed = append(failed, map[string]any{"index": i, "localId": id, "message": "NOT_DISABLED : Disable the account before batch deletion."})
		default:
			c.remove(a)
		}
	}
	if failed == nil {
		return map[string]any{}, nil
	}
	return map[string]any{"errors": failed}, nil
}

// batchGet returns a page of all accounts, by their user ids.
func batchGet(_ *Server, c call, _ struct{}) (any, error) {
	n, err := strconv.Atoi(c.query.Get("maxResults"))
	if err != nil || n <= 0 {
		n = 20
	}
	n = min(n, 1000)

	all := slices.DeleteFunc(c.sorted(), func(a *account) bool { return a.LocalID <= c.query.Get("nextPageToken") })
	answer := map[string]any{"kind": "identitytoolkit#DownloadAccountResponse"}
	if len(all) >= n { // also if there are no more: the next page is empty then
		all = all[:n]
		answer["nextPageToken"] = all[n-1].LocalID
	}
	answer["users"] = copyAccounts(all)
	return answer, nil
}

// clearAccounts deletes all accounts of a project or a tenant.
func clearAccounts(_ *Server, c call, _ struct{}) (any, error) {
	c.clear()
	return map[string]any{}, nil
}
