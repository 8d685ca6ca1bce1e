// Makes a query for the demographics of the patient (QBP^Q22).
export default function (msg, ctx) {
  const header = ["MSH", "^~\\&", "HILUM", "STE", "INDEX", "STE", msg.get("MSH-7"), "",
    "QBP^Q22^QBP_Q21", msg.get("MSH-10"), "P", "2.5.1"];
  const query = ["QPD", "Q22^Find Candidates^HL7", ctx.id, "@PID.3.1^" + msg.get("PID-3[1].1")];
  msg.text = [header.join("|"), query.join("|"), "RCP|I|1^RD"].join("\r") + "\r";
}
