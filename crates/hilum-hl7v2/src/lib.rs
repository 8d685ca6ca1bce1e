//! HL7 v2: lossless messages, paths, dictionary, profiles, answers, MLLP framing.
