// Distance on the earth taken as a sphere of 6371.0088 km (the mean radius of IUGG), to the metre. In whole numbers from end to end:
// sines and the arc come from CORDIC in 60 binary digits (Volder, "The CORDIC trigonometric computing technique", 1959), the
// formula is the haversine, which is good for near points. So the result is the same on every machine and with every compiler,
// which no library's sine promises. The error before rounding is below a millimetre, near the antipode below a centimetre.
#pragma once

#include <cstdint>

#include "base/decimal.h"

namespace tocsin {

/// Latitudes and longitudes in 10^-9 degrees, within 90 and 180 degrees. Kilometres, rounded half to even to the metre.
Decimal distance_km(std::int64_t latitude_a, std::int64_t longitude_a, std::int64_t latitude_b,
                    std::int64_t longitude_b);

}  // namespace tocsin
