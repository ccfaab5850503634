/// Returns the seconds from one moment to a later one; negative if the second moment is earlier.
///
/// Moments are read from files, so they can be any numbers. A distance that is no number becomes the nearest number.
package func seconds(from first: Int64, to second: Int64) -> Int64 {
  let (distance, overflows) = second.subtractingReportingOverflow(first)
  guard overflows else { return distance }
  return second > first ? .max : .min
}
