//! The shipped maps.

use hilum_convert::Maps;

#[test]
fn the_shipped_maps_have_no_problem() {
    let (_, problems) = Maps::read(Maps::shipped_files());
    for problem in &problems {
        println!("{problem}");
    }
    assert_eq!(problems.len(), 0);
}
