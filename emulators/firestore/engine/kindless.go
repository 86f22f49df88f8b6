package engine

import pb "cloud.google.com/go/firestore/apiv1/firestorepb"

// checkDescendants refuses queries of descendants that the service refuses. It answers a
// collection group only at the root, and a query without a collection id, with which SDKs
// delete recursively, only in the order of names: it has no index of all collections.
func (q *Query) checkDescendants(sq *pb.StructuredQuery) error {
	if !q.deep {
		return nil
	}
	if q.id != "" {
		if q.parent != "" {
			return invalidArgument("collection group queries are only allowed at the root parent")
		}
		return nil
	}

	for _, o := range sq.GetOrderBy() {
		if o.GetField().GetFieldPath() != nameField || o.GetDirection() == pb.StructuredQuery_DESCENDING {
			return invalidArgument("kind is required for all orders except %s ascending", nameField)
		}
	}
	if field := otherField(sq.GetWhere()); field != "" {
		return invalidArgument("kind is required for filter: %.200s", field)
	}
	return nil
}

// isKindless reports whether the query names no collection id.
func (q *Query) isKindless() bool { return q.id == "" }

// otherField returns a field of the filter that is not __name__, or "".
func otherField(f *pb.StructuredQuery_Filter) string {
	switch x := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		for _, part := range x.CompositeFilter.GetFilters() {
			if field := otherField(part); field != "" {
				return field
			}
		}
	case *pb.StructuredQuery_Filter_UnaryFilter:
		return otherName(x.UnaryFilter.GetField())
	case *pb.StructuredQuery_Filter_FieldFilter:
		return otherName(x.FieldFilter.GetField())
	}
	return ""
}

func otherName(f *pb.StructuredQuery_FieldReference) string {
	if f.GetFieldPath() == nameField {
		return ""
	}
	return f.GetFieldPath()
}
