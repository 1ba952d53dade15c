package csi

import (
	"math"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
)

// sizeGiB is the least whole number of GiB that satisfies a capacity range; without one, 1. A pure function.
func sizeGiB(r *csi.CapacityRange) (int64, error) {
	required, limit := r.GetRequiredBytes(), r.GetLimitBytes()
	switch {
	case required < 0:
		return 0, invalid("capacity_range.required_bytes %d is negative", required)
	case limit < 0:
		return 0, invalid("capacity_range.limit_bytes %d is negative", limit)
	case limit > 0 && limit < required:
		return 0, invalid("capacity_range.limit_bytes %d is less than required_bytes %d", limit, required)
	case required > math.MaxInt64-gib:
		return 0, refuse(codes.OutOfRange, "capacity_range.required_bytes %d is more than a disk can have", required)
	}
	size := max(1, (required+gib-1)/gib)
	if limit > 0 && size*gib > limit {
		return 0, refuse(codes.OutOfRange, "a disk has whole GiB: %d bytes take %d GiB, which is more than the limit of %d bytes",
			required, size, limit)
	}
	return size, nil
}

// within reports whether an existing disk satisfies the range.
func within(r *csi.CapacityRange, gibs int64) bool {
	size := gibs * gib
	return size >= r.GetRequiredBytes() && (r.GetLimitBytes() == 0 || size <= r.GetLimitBytes())
}
